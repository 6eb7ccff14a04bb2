"""The WSGI application with a fault: an export's third chunk fails while the file FAIL_WHILE exists."""

import os
from pathlib import Path
from typing import Any

from config.wsgi import application
from exports.rows import chunks as rows

__all__ = ["application"]

read_chunk = rows.read_chunk
READ: list[int] = []


def fail_late(query: rows.Query, after: int, *others: Any) -> rows.Chunk:
    if after == 0:
        READ.clear()
    READ.append(after)
    if Path(os.environ["FAIL_WHILE"]).exists() and len(READ) == 3:
        raise RuntimeError("the third chunk is lost")
    return read_chunk(query, after, *others)


rows.read_chunk = fail_late
