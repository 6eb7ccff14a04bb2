"""Checked bodies into the catalogue, one product or a thousand by the same statements; a stage is a module.

plans.py     a row of a body -> a plan: the row, the product that it means, what is wrong, what became of it
known.py     what the database has under the keys of the bodies, locked; as many queries for a thousand as for one
matching.py  plan beside what is known -> what is to be written, or faults, each with its pointer
saving.py    plans -> rows: a few statements, whatever their number
products.py  one product: create, update, delete
bulk.py      many products in one body
levels.py    stock and prices of variants by SKU, the hot writers
"""
