"""Writes of products in, the numbers of active products with each value of a facet out. See triggers.py."""
