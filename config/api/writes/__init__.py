"""A body in, a written row or a list of errors out."""
