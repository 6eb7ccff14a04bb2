"""Rows as JSON in, a Parquet file with typed columns out."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from rest_framework import serializers as drf

from config.api.reads.selections import find_fields
from config.api.rendering.renderers import write_json
from exports.jobs.publishing import HashedFile
from exports.rows.chunks import Query

# The rows of a row group. A reader reads one group at once, and memory here holds one.
GROUP_ROWS = 20_000


def write_parquet(rows: Iterator[Sequence[bytes]], query: Query, file: HashedFile) -> None:
    schema = pa.schema([find_column(query, name) for name in query.selection.names])
    with pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd") as writer:
        for group in cut_groups(rows):
            writer.write_table(pa.table([read_column(group, column) for column in schema], schema=schema))


def find_column(query: Query, name: str) -> Any:
    return pa.field(name, find_type(find_fields(query.serializer)[name]))


def find_type(field: Any) -> Any:
    match field:
        case drf.BooleanField():
            return pa.bool_()
        case drf.IntegerField() | drf.PrimaryKeyRelatedField():
            return pa.int64()
        case drf.DecimalField():
            return pa.decimal128(field.max_digits or 38, field.decimal_places)
        case drf.DateTimeField():
            return pa.timestamp("us", tz="UTC")
    return pa.string()  # JSON too, as its text


def cut_groups(rows: Iterator[Sequence[bytes]]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for lines in rows:
        group += map(orjson.loads, lines)
        if len(group) >= GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def read_column(group: Sequence[Any], column: Any) -> Any:
    values = [row[column.name] for row in group]
    if not pa.types.is_string(column.type):
        # Decimals and times are texts in JSON. Arrow converts them without a Python object for each.
        return pa.array(values).cast(column.type)
    return pa.array(
        [write_json(value).decode() if isinstance(value, dict | list) else value for value in values], column.type
    )
