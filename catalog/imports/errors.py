"""What is wrong with a file as a whole; what is wrong with a row is a Refusal (drafts.py)."""


class BadFile(Exception):
    """The file can't be imported at all: one sentence with its name, the rule and the remedy."""
