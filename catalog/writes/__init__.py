"""What anybody wants of products into the catalogue, one product or thousands by the same statements.

A front end makes drafts (drafts.py) and says how they are meant (plans.Manner); the rest is one pipeline:

upserts.py   drafts -> plans, and the plans without faults -> rows
known.py     what the database has under the keys of the drafts, locked; as many queries for a thousand as for one
matching.py  draft beside what is known -> what is to be written, or faults, each with its place (sentences.py)
taxonomy.py  names of brands and paths of categories -> ids, made where they are missing; for files
saving.py    plans -> rows: a few statements, whatever their number (batches.py, on PostgreSQL arrays.py)

values.py    what each value may be, and the code and sentence of each refusal, for both front ends
fields.py    DRF's fields that read by values.py
bodies.py    a front end: rows of a body -> drafts, and what became of them back; catalog/imports is the other
products.py  one product: create, update, delete
levels.py    stock and prices of variants by SKU, the hot writers
"""
