"""WSGI requests in, answers before Django out: cached answers, and reads by a cached plan."""
