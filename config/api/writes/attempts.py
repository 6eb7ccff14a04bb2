"""Writes that are tried a second time if another writer came between their check and their save."""

from collections.abc import Callable

from django.db import IntegrityError


def attempt_twice[Outcome](attempt: Callable[[], Outcome]) -> Outcome:
    """The result of `attempt`, which must be a whole transaction.

    If another writer has taken the slug or the SKU meanwhile, the first attempt fails in the database. The second
    attempt sees the other writer's row, and raises the right error.
    """
    try:
        return attempt()
    except IntegrityError:
        return attempt()
