"""Writes products into the catalogue: one product or thousands, by the same number of statements.

A front end makes drafts (drafts.py) and says how to treat them (plans.Manner). The rest is one pipeline:

upserts.py   drafts -> plans, and plans without faults -> rows
known.py     the stored rows that the drafts name, locked; one draft or a thousand take the same number of queries
matching.py  a draft and the stored rows -> what to write, or faults, each with its place (sentences.py)
taxonomy.py  brand names and category paths -> ids; creates missing ones; for files
saving.py    plans -> rows: a few statements, whatever their number (batches.py, on PostgreSQL arrays.py)

values.py    the rule of each value, with its error's code and sentence, for both front ends
fields.py    DRF fields that use the rules of values.py; serializers.py  the bodies that are made of them
bodies.py    a front end: rows of a request's body -> drafts, and results back to the rows; catalog/imports is the other
products.py  one product: create, update, delete
levels.py    stock and prices of variants by SKU, the most frequent writes
"""
