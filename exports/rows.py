"""A queryset in, batches of its rows out: by primary key, each one short query and no transaction between two.

No server-side cursor: it would pin a connection for as long as the client reads, and breaks behind PgBouncer.
A row that is there from the beginning to the end is in exactly one batch, whatever comes and goes beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from config.api.projection import ReadSerializer, Selection, build_serializer, select_rows

# NDJSON rows a CPU second at 100, 250, 500, 1,000 and 5,000: 6,500, 7,700, 8,100, 8,000, 7,500 (SQLite, 40,000
# products, mean of two rounds, nothing expanded). Past 500 only memory grows: with everything expanded a row can be
# 40 objects.
BATCH_ROWS = 500


@dataclass(frozen=True)
class Source:
    """What an export holds: which rows, in which shape, from which id on."""

    rows: QuerySet[Any]
    serializer: ReadSerializer
    selection: Selection
    after: int = 0
    # Without a request, the addresses in the rows have no host.
    context: Mapping[str, Any] = field(default_factory=lambda: {"request": None})


@dataclass(frozen=True)
class Batch:
    """At most BATCH_ROWS rows, as the API shows them."""

    rows: Sequence[Mapping[str, Any]]
    last_id: int


def read_batches(source: Source) -> Iterator[Batch]:
    """One query for the upper bound, then one a batch and one for each expanded list in it."""
    with borrow_connection(source):
        end = find_last_id(source)
    rows = select_rows(source.rows.order_by("pk"), source.serializer, source.selection).filter(pk__lte=end)
    position = source.after
    while found := read_chunk(source, rows.filter(pk__gt=position)[:BATCH_ROWS]):
        position = found[-1].pk
        yield Batch(shape_rows(source, found), position)
        if len(found) < BATCH_ROWS:
            return


def find_last_id(source: Source) -> int:
    """The greatest id of the whole table: what is inserted later has a greater one, so every export ends."""
    # Not of the filtered rows: their greatest id can be a walk through the whole index.
    last = source.rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first()
    return last or 0


def read_chunk(source: Source, rows: QuerySet[Any]) -> list[Any]:
    with borrow_connection(source):
        return list(rows)


@contextmanager
def borrow_connection(source: Source) -> Iterator[None]:
    """With DATABASE_POOL the connection goes back at once; a slow client keeps none. A persistent one stays."""
    try:
        yield
    finally:
        connections[source.rows.db].close_if_unusable_or_obsolete()


def shape_rows(source: Source, found: list[Any]) -> Sequence[Mapping[str, Any]]:
    shaped = build_serializer(source.serializer, source.selection, found, many=True, context=source.context)
    rows: Sequence[Mapping[str, Any]] = shaped.data
    return rows
