"""Chosen changes of the log in; the rows as they were before out, but for what others have changed since."""
