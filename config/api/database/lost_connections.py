"""Reads again if the connection was lost, for example by a restart of the database."""

from collections.abc import Callable
from typing import Any

from django.db import OperationalError


def read_again[Found](connection: Any, read: Callable[[], Found]) -> Found:
    """The result of `read`, which uses `connection`; if that was lost since its last use, `read` runs a second time.

    Django would check the connection before each request, which costs a round trip each time.
    """
    try:
        return read()
    except OperationalError:
        if not is_lost(connection):
            raise
        connection.close()  # Django opens a new one
        return read()


def is_lost(connection: Any) -> bool:
    """Whether a connection whose statement failed was lost; false if the server refused to connect."""
    is_open = connection.connection is not None and not connection.in_atomic_block
    return is_open and not connection.is_usable()
