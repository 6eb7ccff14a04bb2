"""A selection in, chunks of rows in the order of their primary keys out."""
