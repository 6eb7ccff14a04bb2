"""Demo data: `words.py` has the vocabulary, `rows.py` makes a product of a number, `fill.py` writes them."""
