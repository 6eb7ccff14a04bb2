"""A query in, rows or their JSON out: what may be read of a table, by whom and in which shape."""
