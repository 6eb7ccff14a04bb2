"""Connections and the SQL that goes through them, where Tenfold adds something to Django."""
