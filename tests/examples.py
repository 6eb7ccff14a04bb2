"""How much the suite asks of tests whose inputs are many or endless: one in so many.

`SHARE=1`, in `make test-faults`, asks all.
"""

import os
from collections.abc import Sequence
from zlib import crc32

from django.db import connection


def share(number: int, one_in: int = 4) -> int:
    """So many examples of `number`, but never fewer than five."""
    return max(5, number // int(os.environ.get("SHARE", one_in)))


def halve[T](inputs: Sequence[T], key: str) -> Sequence[T]:
    """Every other one, and the rest on the other database: together all. `key` chooses with which one begins."""
    first = (crc32(key.encode()) + (connection.vendor == "sqlite")) % 2
    return inputs if os.environ.get("SHARE") == "1" else inputs[first::2]
