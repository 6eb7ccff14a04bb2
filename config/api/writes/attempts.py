"""A write in, its outcome out, although another writer came between its look and its save."""

from collections.abc import Callable

from django.db import IntegrityError


def attempt_twice[Outcome](attempt: Callable[[], Outcome]) -> Outcome:
    """What `attempt`, a transaction of its own, returns.

    If another writer took a slug or a SKU meanwhile, the database refuses the first attempt; the second one sees it.
    """
    try:
        return attempt()
    except IntegrityError:
        return attempt()
