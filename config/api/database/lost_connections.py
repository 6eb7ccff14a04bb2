"""A connection that was lost, as by a restart of the database: who reads finds out, and reads again by a new one."""

from collections.abc import Callable
from typing import Any

from django.db import OperationalError


def read_again[Found](connection: Any, read: Callable[[], Found]) -> Found:
    """What `read` reads by `connection`; done again, once, where it was lost since its last use.

    In place of a look at the connection beforehand, which is a round trip each time.
    """
    try:
        return read()
    except OperationalError:
        if not is_lost(connection):
            raise
        connection.close()  # the next one is new
        return read()


def is_lost(connection: Any) -> bool:
    """Of one on which a statement has failed. A server that refuses to connect would refuse again."""
    is_open = connection.connection is not None and not connection.in_atomic_block
    return is_open and not connection.is_usable()
