"""The API's errors. Each class has a status, a code, a sentence and a hint; a view only raises it.

ApiError
├── UnknownParameter, InvalidParameter    400  the query string
├── InvalidCursor, PageTooDeep            400  pages
├── SortTooLarge                          400  an ordering that no index serves
├── CountTooDear, SearchTooDear,
│   FilterTooDear, FacetsTooDear          400  more of the database's time than one answer may have
├── InvalidHeader                         400  a header that can't be read
├── BodyTooDeep, BodyTooSlow              400
├── TooManyAffected                       400  a bulk write past `Prefer: max-affected`
├── InvalidBody                           400  the body's members, each with its JSON pointer
├── InsufficientScope, AddressNotAllowed  403  scopes.py
├── Conflict, IdempotencyKeyInUse         409
├── PreconditionFailed                    412  `If-Match` names another version
├── BodyTooLarge                          413
├── IdempotencyKeyReused, MissingExtra    422
├── TooManyRequests                       429  throttling.py
├── Unavailable, RowLocked, Overloaded    503
└── QueryTimeout                          504

A code keeps its meaning for ever. This module must not import rest_framework.views: that module loads DRF's settings
while it is half loaded itself, and the settings load this module.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from sqlite3 import SQLITE_INTERRUPT
from typing import Any

from rest_framework.exceptions import APIException

from config.api.problems.near import suggest


@dataclass(frozen=True)
class Fault:
    """One error of a request. `pointer` is a JSON pointer into the body, or `?name` for a query parameter."""

    pointer: str
    code: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def write_pointer(way: Iterable[object]) -> str:
    """The JSON pointer (RFC 6901) to the value at the path `way` of names and indexes."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in way)


class ApiError(APIException):
    """An error with a sentence for people (`detail`), a code for programs, and a remedy (`hint`) if there is one."""

    status_code: int = HTTPStatus.BAD_REQUEST
    default_code = "bad_request"

    def __init__(self, detail: str, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.hint = hint
        self.faults = tuple(faults)


# The most unknown names that one error lists, of a query string or of a list in it.
MOST_NAMED = 20


class UnknownParameter(ApiError):
    """The endpoint has no such parameter; ignoring a typo like `?prise=` would return all rows.

    `errors` names the first MOST_NAMED unknown parameters, the hint is for the first.
    """

    default_code = "unknown_parameter"

    def __init__(self, names: Sequence[str], known: Collection[str]) -> None:
        faults = [
            Fault(f"?{name}", "unknown_parameter", f"{name} is not a parameter of this address.")
            for name in names[:MOST_NAMED]
        ]
        super().__init__(faults[0].detail, suggest(names[0], known), faults)


class InvalidParameter(ApiError):
    """The parameter exists but doesn't accept this value."""

    default_code = "invalid_parameter"

    def __init__(self, name: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{name}: {detail}", hint, [Fault(f"?{name}", "invalid_parameter", detail)])


class InvalidCursor(ApiError):
    """The cursor was altered, or comes from another list, or from this list with other filters or ordering."""

    default_code = "invalid_cursor"

    def __init__(self) -> None:
        detail = "The cursor is damaged or belongs to another list."
        hint = "Follow `next` and `previous` as they are, or leave `cursor` out to begin again."
        super().__init__(detail, hint, [Fault("?cursor", "invalid_cursor", detail)])


class PageTooDeep(ApiError):
    """`page * page_size` is more than `limit` rows. The hint has the next page's URL by cursor, or the last page's."""

    default_code = "page_too_deep"

    def __init__(self, limit: int, way_on: str) -> None:
        # Without this URL a client in the middle of a list would have to start again at page one.
        detail = f"Page numbers end at {limit} rows."
        super().__init__(detail, f"Go on with {way_on}", [Fault("?page", "page_too_deep", detail)])


class SortTooLarge(ApiError):
    """No index serves this ordering with these filters, and too many rows are left to sort for one page."""

    default_code = "sort_too_large"

    def __init__(self, name: str, rows: int, limit: int, served: Collection[str]) -> None:
        detail = f"About {rows} rows would be sorted for this page; at most {limit} can be."
        hint = f"Narrow the list, or order it by {' or '.join(served)}, which an index serves with these filters."
        super().__init__(detail, hint, [Fault("?ordering", "sort_too_large", f"{name}: {detail}")])


# Milliseconds of the database that a search, a list without an index, an exact count or facets may take.
DEAR_MS = 250


class CountTooDear(ApiError):
    """An exact count takes longer than DEAR_MS: the planner expected it to, or it was stopped."""

    default_code = "count_too_dear"

    def __init__(self) -> None:
        detail = f"An exact count of this list would take the database more than {DEAR_MS} ms."
        hint = "Send count=bounded, which counts up to 10,000, or narrow the list."
        super().__init__(detail, hint, [Fault("?count", "count_too_dear", detail)])


class SearchTooDear(ApiError):
    """A search took longer than DEAR_MS and was stopped."""

    default_code = "search_too_dear"

    def __init__(self) -> None:
        detail = f"This search takes the database more than {DEAR_MS} ms."
        hint = "Send longer words, or fewer of them."
        super().__init__(detail, hint, [Fault("?search", "search_too_dear", detail)])


class FilterTooDear(ApiError):
    """A list of rows that no index finds took longer than DEAR_MS and was stopped."""

    default_code = "filter_too_dear"

    def __init__(self) -> None:
        detail = f"This list takes the database more than {DEAR_MS} ms, since no index serves its filters."
        super().__init__(detail, "Add a filter that leaves few rows, such as sku, brand, category or updated_since.")


class FacetsTooDear(ApiError):
    """Facets took too long and were stopped. The view draws fewer rows then, and raises this only for a search."""

    default_code = "facets_too_dear"

    def __init__(self) -> None:
        detail = f"With this search the facets take the database more than {DEAR_MS} ms."
        hint = "Send longer words, or fewer of them."
        super().__init__(detail, hint, [Fault("?facets", "facets_too_dear", detail)])


class InvalidHeader(ApiError):
    """A request header has an invalid value."""

    default_code = "invalid_header"

    def __init__(self, name: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{name}: {detail}", hint)


class InvalidBody(ApiError):
    """Members of the body have invalid values; nothing was written."""

    default_code = "invalid_body"

    def __init__(self, faults: Sequence[Fault], hint: str = "") -> None:
        first = faults[0]
        super().__init__(f"{first.pointer or 'The body'}: {first.detail}", hint, faults)


class Conflict(ApiError):
    """The request is valid, but it conflicts with the stored data."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


class PreconditionFailed(ApiError):
    """The row has changed since the version in `If-Match`; nothing was written. `present` is its version now."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_code = "precondition_failed"

    def __init__(self, present: int) -> None:
        detail = f"The row now has version {present}, which is not the version in If-Match."
        super().__init__(detail, "Read the row again, apply your change to it, and send its new ETag.")


class TooManyAffected(ApiError):
    """A bulk write would write more rows than its `Prefer: max-affected` allows; nothing was written."""

    default_code = "too_many_affected"

    def __init__(self, affected: int, limit: int) -> None:
        hint = "Nothing was written: send fewer rows, or raise max-affected."
        super().__init__(f"{affected} rows would be written, and Prefer allows {limit}.", hint)


class BodyTooDeep(ApiError):
    """The body's lists and objects are nested more than `limit` (32) levels deep."""

    default_code = "body_too_deep"

    def __init__(self, limit: int, pointer: str = "") -> None:
        detail = f"The body is nested deeper than {limit} levels."
        super().__init__(detail, faults=[Fault(pointer, "body_too_deep", detail)])


class BodyTooSlow(ApiError):
    """The client sent the body too slowly. Its connection was cut, and nothing was written."""

    default_code = "body_too_slow"

    def __init__(self, seconds: int, bytes_a_second: int) -> None:
        detail = f"The body didn't come within {seconds} seconds and one more for each {bytes_a_second} bytes."
        super().__init__(detail, "Send it again, from a faster connection or in smaller pieces.")


class BodyTooLarge(ApiError):
    """The body is larger than MAX_BODY_BYTES (2.5 MB by default), or an import's file than IMPORT_MAX_BYTES."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"

    def __init__(self, limit: int, hint: str = "Send it in several requests.") -> None:
        super().__init__(f"The body is larger than {limit} bytes.", hint)


class IdempotencyKeyReused(ApiError):
    """The `Idempotency-Key` was used for another request: one with another address or body."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"

    def __init__(self, difference: str) -> None:
        super().__init__(f"This Idempotency-Key was used {difference}.", "Use a new key for each new request.")


class IdempotencyKeyInUse(ApiError):
    """A request with this `Idempotency-Key` is still running. `Retry-After` says when its answer may be ready."""

    status_code = HTTPStatus.CONFLICT
    default_code = "idempotency_key_in_use"
    wait = 1

    def __init__(self) -> None:
        detail = "A request with this Idempotency-Key is still running."
        super().__init__(detail, f"Send it again in {self.wait} second, with the same key.")


class MissingExtra(ApiError):
    """The request needs an optional package that isn't installed on this server."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "missing_extra"

    def __init__(self, name: str, extra: str, package: str) -> None:
        detail = f"{name} needs the extra {extra}, which isn't installed on this server."
        hint = f"Run .venv/bin/python -m pip install {package} there, then restart the server and its workers."
        super().__init__(detail, hint, [Fault(f"/{name}", "missing_extra", detail)])


class Unavailable(ApiError):
    """The database can't answer now, or Redis can't at sign-in. `Retry-After` says when the request may succeed."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "service_unavailable"
    wait = 2  # seconds, as DRF's exceptions name it

    def __init__(self, what: str = "The database") -> None:
        super().__init__(f"{what} can't answer at the moment.", f"Try again in {self.wait} seconds.")


class PoolerLosesStatements(Unavailable):
    """The database's pooler gives each transaction another session, so prepared statements get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.hint = "Its operator must set DATABASE_PREPARE=false: PgBouncer before 1.22 loses prepared statements."


class Overloaded(ApiError):
    """All request slots are taken and too many requests wait already. This one was not started."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "overloaded"
    wait = 1

    def __init__(self, detail: str = "The server has more requests than it can handle.", hint: str = "") -> None:
        super().__init__(detail, hint or f"Try again in {self.wait} second.")


class RowLocked(ApiError):
    """Another transaction held a lock that this request needs, for longer than a request may wait."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "row_locked"
    wait = 1

    def __init__(self) -> None:
        super().__init__(
            "Another transaction holds a lock that this request needs; nothing was written.",
            f"Try again in {self.wait} second.",
        )


class QueryTimeout(ApiError):
    """A statement took longer than STATEMENT_TIMEOUT_MS, so the database stopped it."""

    status_code = HTTPStatus.GATEWAY_TIMEOUT
    default_code = "query_timeout"
    wait = 5

    def __init__(self) -> None:
        super().__init__(
            "A query of this request took too long and was stopped; nothing was written.",
            f"Use more filters or a smaller page_size, or try again in {self.wait} seconds.",
        )


# PostgreSQL's SQLSTATE and SQLite's code when they stop a statement at a limit that config/process/limits.py or
# config/api/database/time_limits.py sets.
LIMITS: dict[Any, type[RowLocked | QueryTimeout]] = {
    "55P03": RowLocked,
    "57014": QueryTimeout,
    SQLITE_INTERRUPT: QueryTimeout,
}


def find_limit(error: BaseException) -> type[RowLocked | QueryTimeout] | None:
    """The error class if a limit stopped the statement, else None. A retry would meet the same limit."""
    cause = error.__cause__
    return LIMITS.get(getattr(cause, "sqlstate", None)) or LIMITS.get(getattr(cause, "sqlite_errorcode", None))
