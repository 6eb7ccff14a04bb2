"""The errors of webhooks; config/api/problems/errors.py has those that all endpoints share."""

from config.api.problems.errors import Conflict


class TooManyWebhooks(Conflict):
    """The caller has reached the limit of webhooks."""

    default_code = "too_many_webhooks"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} webhooks; this is the limit.", "Delete one that you no longer need.")
