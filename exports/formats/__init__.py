"""Rows in, bytes of one file format out."""
