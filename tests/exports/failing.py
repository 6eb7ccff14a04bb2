"""The WSGI application with a fault: an export's third batch fails while the file FAIL_WHILE exists."""

import os
from pathlib import Path
from typing import Any

from config.wsgi import application
from exports import rows

__all__ = ["application"]

shape_rows = rows.shape_rows


def fail_late(source: rows.Source, found: list[Any]) -> Any:
    if Path(os.environ["FAIL_WHILE"]).exists() and found[0].sku == f"P{2 * rows.BATCH_ROWS}":
        raise RuntimeError("the third batch is lost")
    return shape_rows(source, found)


rows.shape_rows = fail_late
