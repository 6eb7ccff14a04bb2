"""Writes to logged tables in, one log row for each change out. The feed, the audit and the cache read the log."""
