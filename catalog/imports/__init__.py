"""Imports files of products into the catalogue. Each stage is a module; a row passes them in this order.

readers.py   file -> records (line, cells); an error for a file that is neither CSV nor NDJSON
mapping.py   columns of the file -> our fields; an error for a column that doesn't exist
values.py    cell -> value of a field; an error names the rule and the remedy
plain.py     record of a plain CSV or NDJSON file -> draft; shopify.py  records of one Handle -> draft
seen.py      an error for a SKU or Handle that the file has twice
runs.py      drafts -> batches; a dry run is the same run, rolled back
upsert.py    batch of drafts -> rows, through the pipeline of catalog/writes
report.py    counts of what happened

uploads.py   a request's body or a form's file -> a file in the storage, of limited size (unpacking.py: gzip and zstd)
jobs.py      the same run as the step of a job (config/api/jobs/), with a checkpoint for each batch; tasks.py  its task
refusals.py  a job's refused rows -> a CSV

Nothing here prints or knows the command line, so the command and the API's jobs use the same run.
"""
