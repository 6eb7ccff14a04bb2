"""Files of products into the catalogue; a stage is a module, and a row passes them in this order.

readers.py   file -> records (line, cells), for CSV and NDJSON; refuses a file that is neither
mapping.py   columns of the file -> fields of ours; refuses a column that isn't there
values.py    cell -> value of a field; refuses with a rule and a remedy
plain.py     record of a plain CSV or NDJSON file -> draft; shopify.py  records of one Handle -> draft
seen.py      refuses what stands twice in one file
runs.py      drafts -> batches; a dry run is the same run, rolled back
upsert.py    batch of drafts -> rows, by the pipeline of catalog/writes
report.py    what happened, counted

uploads.py   a body or a form's file -> a file in the storage, within caps (unpacking.py: gzip and zstd)
jobs.py      the same run as the step of a job (config/api/jobs/), with a checkpoint a batch; tasks.py  its task
refusals.py  a job's refused rows -> a CSV

Nothing here prints or knows of the command line, so that a job of the API can drive the same run.
"""
