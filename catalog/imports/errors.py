"""What is wrong with a file as a whole; what is wrong with a row is a Refusal (drafts.py)."""

from config.api.jobs.models import JobFailure


class BadFile(JobFailure):
    """The file can't be imported at all: one sentence with its name, the rule and the remedy."""
