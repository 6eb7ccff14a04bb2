"""WSGI requests in, answers before Django out: kept ones, and reads whose plan is kept."""
