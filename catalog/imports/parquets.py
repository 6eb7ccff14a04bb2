"""A Parquet file in, records out: one a row, by its number. Memory holds one row group's pages and a thousand rows.

readers.py loads this module when a file needs it: pyarrow takes 50 MB and 0.2 s.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.imports.errors import BadFile
from catalog.imports.records import Record
from catalog.imports.sheets import show_cell
from catalog.imports.tables import refuse_wide

ROWS_AT_ONCE = 1_000


def open_parquet(stream: Any, name: str) -> tuple[tuple[str, ...], Iterator[Record]]:
    try:
        file = pq.ParquetFile(stream)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadFile(f"{name} is a Parquet file that can't be read ({error}): send it again") from None
    columns = tuple(file.schema_arrow.names)
    refuse_wide(columns, name)
    return columns, read_rows(file)


def read_rows(file: Any) -> Iterator[Record]:
    number = 0
    batches = file.iter_batches(ROWS_AT_ONCE)
    while True:
        try:
            rows = next(batches).to_pylist()
        except StopIteration:
            return
        except (pa.ArrowException, OSError, ValueError) as error:
            yield Record(number + 1, {}, f"can't be read ({error}), nor any after it; send the file again")
            return
        for row in rows:
            number += 1
            yield Record(number, {column: show_cell(value) for column, value in row.items()})
