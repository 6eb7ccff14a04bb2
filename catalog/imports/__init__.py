"""Imports files of products into the catalogue. Each stage is a module; a row passes them in this order.

unpacking.py  a stream of bytes, compressed or not -> the plain bytes, and whether they are text, a workbook or Parquet
encodings.py  bytes of a text -> its encoding; an error for a text in another one
readers.py    bytes -> records (records.py: line, cells), by the kind of the file: tables.py (CSV), trees.py (JSON),
              xmls.py, sheets.py (workbooks), parquets.py; an error for a file of another kind
formats/      records -> drafts, a module a format: all.py chooses it by the columns, base.py is the interface
groups.py     the rows of one product, which may stand apart -> together
values.py     cell -> value of a field, by the options of the file (options.py); an error names the rule and the remedy;
              numbers.py has the numbers
seen.py       an error for a SKU or Handle that the file has twice
runs.py       drafts -> batches; a dry run is the same run, rolled back
upsert.py     batch of drafts -> rows, through the pipeline of catalog/writes
terms.py      brands, categories, attributes that have rows of their own -> rows
missing.py    archives what the file doesn't name, if that is asked for
report.py     counts of what happened; previews.py what would happen, by the first rows

uploads.py    a request's body or a form's file -> a file in the storage, of limited size
jobs.py       the same run as the step of a job (config/api/jobs/), with a checkpoint for each batch; tasks.py  its task
refusals.py   a job's errors -> a CSV; mending.py  its refused rows -> a file to mend and send again

Nothing here prints or knows the command line, so the command and the API's jobs use the same run.
"""
