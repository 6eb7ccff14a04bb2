"""A queryset in, batches of its rows out: by primary key, each one short query and no transaction between two.

No server-side cursor: it would pin a connection for as long as the client reads, and breaks behind PgBouncer.
A row that is there from the beginning to the end is in exactly one batch, whatever comes and goes beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from config.api.selections import ReadSerializer, Selection
from config.api.shaping import build_serializer, select_rows

# NDJSON rows a CPU second at 100, 250, 500, 1,000 and 5,000: 8,800, 8,800, 10,000, 10,000, 9,200 (SQLite, 40,000
# products, one round, nothing expanded). Past 500 only memory grows: with everything expanded a row can be
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

    @cached_property
    def shaper(self) -> Any:
        """The serializer without rows: it and its fields are a circle, so what it held would wait for the collector."""
        return build_serializer(self.serializer, self.selection, None, many=True, context=self.context)


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
    position, is_last = source.after, False
    while not is_last and (batch := read_batch(source, rows.filter(pk__gt=position)[:BATCH_ROWS])):
        position, is_last = batch.last_id, len(batch.rows) < BATCH_ROWS
        yield batch
        del batch  # or it would stay beside the next one


def find_last_id(source: Source) -> int:
    """The greatest id of the whole table: what is inserted later has a greater one, so every export ends."""
    # Not of the filtered rows: their greatest id can be a walk through the whole index.
    last = source.rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first()
    return last or 0


def read_batch(source: Source, rows: QuerySet[Any]) -> Batch | None:
    """The rows as the API shows them; None where there is none."""
    with borrow_connection(source):
        found = list(rows)
    return Batch(shape_rows(source, found), found[-1].pk) if found else None


@contextmanager
def borrow_connection(source: Source) -> Iterator[None]:
    """With DATABASE_POOL the connection goes back at once; a slow client keeps none. A persistent one stays."""
    try:
        yield
    finally:
        connection = connections[source.rows.db]
        # Inside somebody's transaction it is theirs to end.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def shape_rows(source: Source, found: list[Any]) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = source.shaper.to_representation(found)
    return rows
