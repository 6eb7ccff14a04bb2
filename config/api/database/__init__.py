"""Connections and the SQL that goes through them: what Tenfold adds to what Django does there."""
