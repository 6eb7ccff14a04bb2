"""A Parquet file in, records out: one a row, by its number. Memory holds one row group's pages and a thousand rows.

readers.py loads this module when a file needs it: pyarrow takes 50 MB and 0.2 s.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
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
    if twice := sorted(column for column, number in Counter(columns).items() if number > 1):
        raise BadFile(f"{name} has two columns {twice[0]!r}: rename one of them")
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
            yield make_record(number, row)


def make_record(number: int, row: Mapping[str, Any]) -> Record:
    try:
        return Record(number, {column: show_value(value) for column, value in row.items()})
    except UnicodeDecodeError:
        return Record(number, {}, "has bytes that aren't UTF-8; write the column as a text")


def show_value(value: Any) -> Any:
    """A cell as a JSON value. Texts may be stored as bytes, and objects as lists of pairs (a map)."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name: show_value(member) for name, member in value.items()}
    if isinstance(value, list):
        is_map = bool(value) and all(isinstance(entry, tuple) for entry in value)
        return show_value(dict(value)) if is_map else [show_value(entry) for entry in value]
    return show_cell(value)
