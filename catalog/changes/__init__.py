"""Writes of logged tables in, one line a change out: the log, which the feed, the audit and the cache read."""
