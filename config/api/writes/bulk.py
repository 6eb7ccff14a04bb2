"""A body of many rows in, one transaction, a result for each row out.

Each row is checked by itself. With `on_error=reject_all` one bad row prevents all writes, and the error names all
faults. With `skip` the good rows are written. A dry run is the same run, rolled back at its end.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import transaction
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from config.api.database.authorship import name_caller
from config.api.freshness.leases import FRESHNESS
from config.api.problems.errors import InvalidHeader, TooManyAffected
from config.api.reads.parameters import check_parameters, read_choice
from config.api.writes.attempts import attempt_twice
from config.api.writes.bodies import Row, refuse_rows
from config.api.writes.idempotency import RepeatablePost

# Rows in a body. So many products, each with a variant and an image, take half of MAX_BODY_BYTES.
GREATEST_NUMBER = 1_000

# Of the header `Prefer` (RFC 7240).
MAX_AFFECTED = re.compile(r"max-affected\s*(=|$)", re.IGNORECASE)
LIMIT = re.compile(r"[0-9]{1,9}")

STATUSES = ("created", "updated", "unchanged", "deleted", "failed")
HINT = "Nothing was written: correct these rows, or send on_error=skip to write the others."


class Writer(Protocol):
    """Writes the rows of one attempt. The constructor compares them with stored rows and adds faults; `save` writes."""

    def save(self) -> None: ...


@dataclass(frozen=True)
class Handling:
    """Whether good rows are written although others are bad (`skip`), and whether all is rolled back (`dry_run`)."""

    on_error: str = "reject_all"
    dry_run: bool = False
    # Of the header `Prefer: max-affected=N`: writing more rows is an error, and nothing is written.
    max_affected: int | None = None

    def check_affected(self, rows: Sequence[Row]) -> None:
        affected = sum(row.outcome in ("created", "updated", "deleted") for row in rows)
        if self.max_affected is not None and affected > self.max_affected:
            raise TooManyAffected(affected, self.max_affected)


def write_rows(rows: Sequence[Row], make: Callable[[list[Row]], Writer], handling: Handling) -> list[Row]:
    """Write the rows and return them with their outcomes. After a conflict with another writer it tries once more."""
    done = attempt_twice(lambda: attempt_rows(rows, make, handling))
    # Many changes that wait for their position would keep the cache from all other requests.
    transaction.on_commit(FRESHNESS.catch_up, robust=True)
    return done


def attempt_rows(rows: Sequence[Row], make: Callable[[list[Row]], Writer], handling: Handling) -> list[Row]:
    rows = [replace(row, faults=list(row.faults)) for row in rows]
    with transaction.atomic():
        writer = make(rows)
        if handling.on_error == "reject_all":
            refuse_rows(rows, HINT)
        writer.save()
        handling.check_affected(rows)
        transaction.set_rollback(handling.dry_run)
    return rows


class BulkView(RepeatablePost, GenericAPIView[Any]):
    """The base of all bulk writes."""

    known_parameters: tuple[str, ...] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name_caller(request)
        check_parameters(request.query_params, self.known_parameters)

    def read_limit(self, request: Request) -> int | None:
        """The limit of `Prefer: max-affected=N`, None without one. Other preferences mean nothing here."""
        preferences = [part.strip() for part in request.headers.get("Prefer", "").split(",")]
        limits = [part.partition("=")[2].strip() for part in preferences if MAX_AFFECTED.match(part)]
        if not limits:
            return None
        if len(limits) > 1 or not LIMIT.fullmatch(limits[0]):
            hint = "Write the most rows that may be written, as in max-affected=1."
            raise InvalidHeader("Prefer", f"max-affected={limits[-1][:20]} is not a number of rows.", hint)
        return int(limits[0])

    def answer(self, rows: Sequence[Row], handling: Handling) -> Response:
        results = [describe_row(number, row, handling) for number, row in enumerate(rows)]
        counts = {status: sum(row.outcome == status for row in rows) for status in STATUSES}
        limit = handling.max_affected
        applied = {} if limit is None else {"Preference-Applied": f"max-affected={limit}"}
        return Response({"dry_run": handling.dry_run} | counts | {"results": results}, headers=applied)


class BulkListView(BulkView):
    """PATCH with a list, whose rows `writer` writes. The query string has `on_error` and `dry_run`."""

    known_parameters = ("on_error", "dry_run")
    repeatable = ("PATCH",)
    writer: Callable[[list[Row]], Writer]

    def patch(self, request: Request) -> Response:
        rows, handling = self.read_rows(request)
        return self.answer(write_rows(rows, self.writer, handling), handling)

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        return super().get_serializer(*args, many=True, max_length=GREATEST_NUMBER, **kwargs)

    def read_rows(self, request: Request) -> tuple[list[Row], Handling]:
        query = request.query_params
        on_error = read_choice(query, "on_error", ("reject_all", "skip")) or "reject_all"
        dry_run = read_choice(query, "dry_run", ("true", "false")) == "true"
        handling = Handling(on_error, dry_run, self.read_limit(request))
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data, handling


def describe_row(number: int, row: Row, handling: Handling) -> dict[str, Any]:
    names = dict(row.names)
    if handling.dry_run and row.outcome == "created" and "id" in names:
        names["id"] = None  # it was rolled back with the row
    errors = [fault.as_dict() for fault in row.faults]
    return {"index": number, "status": row.outcome} | names | {"errors": errors}
