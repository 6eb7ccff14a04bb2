"""Demo data: `words.py` has the vocabulary, `rows.py` makes one product from a number, `fill.py` writes products.

`bare.py` prepares empty tables for many rows.
"""
