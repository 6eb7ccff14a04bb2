"""What the API refuses, as classes: status, code, sentence and hint; raising one is all the handling there is.

ApiError
├── UnknownParameter, InvalidParameter    400  the query string
├── InvalidCursor, PageTooDeep            400  pages
├── SortTooLarge                          400  an ordering that no index serves
├── InvalidHeader                         400  a header that can't be read
├── BodyTooDeep, BodyTooSlow              400
├── InvalidBody                           400  the body's members, each with its JSON pointer
├── InsufficientScope, AddressNotAllowed  403  scopes.py
├── Conflict, IdempotencyKeyInUse         409
├── PreconditionFailed                    412  `If-Match` names another version
├── BodyTooLarge                          413
├── IdempotencyKeyReused, MissingExtra    422
├── TooManyRequests                       429  throttling.py
├── Unavailable, RowLocked, Overloaded    503
└── QueryTimeout                          504

A code, once used, is never used for anything else. Nothing here may import rest_framework.views: DRF loads its
settings, and through them us, while that module is half loaded.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from http import HTTPStatus

from rest_framework.exceptions import APIException


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: a JSON pointer into the body, or `?name` for a query parameter."""

    pointer: str
    code: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def write_pointer(way: Iterable[object]) -> str:
    """The JSON pointer (RFC 6901) of the value that names and indexes lead to."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in way)


class ApiError(APIException):
    """A refusal with a sentence for people, a code for programs and, where there is one, the way out."""

    status_code: int = HTTPStatus.BAD_REQUEST
    default_code = "bad_request"

    def __init__(self, detail: str, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.hint = hint
        self.faults = tuple(faults)


# Unknown names that one answer tells, of a query string or of a list in it.
MOST_NAMED = 20
# Letters. Two names are compared in the product of their lengths, and what is longer is no slip of the pen.
LONGEST_NAME = 64


def suggest(word: str, known: Collection[str]) -> str:
    """A hint that names the near match, or else all there is."""
    names = tuple(sorted(known))
    if near := _find_near(word, names) if len(word) <= LONGEST_NAME else "":
        return f"Did you mean {near}?"
    return f"Known here: {', '.join(names)}." if names else "None is known here."


# Cached, since the rows of a body mostly share a slip.
@lru_cache(maxsize=256)
def _find_near(word: str, names: tuple[str, ...]) -> str:
    """The one of `names` that is most like `word`; "" if none is near."""
    # `prise` is nearer to `price_min` than its length lets it look, so it is held against the beginning too.
    scores = {name: max(_likeness(word, name), _likeness(word, name[: len(word)])) for name in names}
    near = max(scores, key=scores.__getitem__, default="")
    return near if near and scores[near] >= 0.7 else ""


def _likeness(word: str, name: str) -> float:
    return SequenceMatcher(None, word, name).ratio()


class UnknownParameter(ApiError):
    """A slip like `?prise=` would return everything, so it is refused. `errors` names the first MOST_NAMED."""

    default_code = "unknown_parameter"

    def __init__(self, names: Sequence[str], known: Collection[str]) -> None:
        faults = [
            Fault(f"?{name}", "unknown_parameter", f"{name} is no parameter of this address.")
            for name in names[:MOST_NAMED]
        ]
        super().__init__(faults[0].detail, suggest(names[0], known), faults)


class InvalidParameter(ApiError):
    """A value that its parameter doesn't take."""

    default_code = "invalid_parameter"

    def __init__(self, name: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{name}: {detail}", hint, [Fault(f"?{name}", "invalid_parameter", detail)])


class InvalidCursor(ApiError):
    """Changed, cut, from another list, or from the same list with other filters or another ordering."""

    default_code = "invalid_cursor"

    def __init__(self) -> None:
        detail = "The cursor is damaged or belongs to another list."
        hint = "Follow `next` and `previous` as they are, or leave `cursor` out to begin again."
        super().__init__(detail, hint, [Fault("?cursor", "invalid_cursor", detail)])


class PageTooDeep(ApiError):
    """`page * page_size` lies past `limit` rows; the hint is the URL that goes on by cursor, or the last page's."""

    default_code = "page_too_deep"

    def __init__(self, limit: int, way_on: str) -> None:
        # Refused half-way through a list: without the way on, the client would start again at page one.
        detail = f"Page numbers end at {limit} rows."
        super().__init__(detail, f"Go on with {way_on}", [Fault("?page", "page_too_deep", detail)])


class SortTooLarge(ApiError):
    """No index serves this ordering with these filters, and what they leave is too much to sort for one page."""

    default_code = "sort_too_large"

    def __init__(self, name: str, rows: int, limit: int, served: Collection[str]) -> None:
        detail = f"About {rows} rows would be sorted for this page; {limit} is the most."
        hint = f"Narrow the list, or order it by {' or '.join(served)}, which an index serves with these filters."
        super().__init__(detail, hint, [Fault("?ordering", "sort_too_large", f"{name}: {detail}")])


class InvalidHeader(ApiError):
    """A header that can't be read as what it is."""

    default_code = "invalid_header"

    def __init__(self, name: str, detail: str, hint: str = "") -> None:
        super().__init__(f"{name}: {detail}", hint)


class InvalidBody(ApiError):
    """Members of the body that can't be taken; nothing of it was written."""

    default_code = "invalid_body"

    def __init__(self, faults: Sequence[Fault], hint: str = "") -> None:
        first = faults[0]
        super().__init__(f"{first.pointer or 'The body'}: {first.detail}", hint, faults)


class Conflict(ApiError):
    """The request is right in itself and clashes with what is stored."""

    status_code = HTTPStatus.CONFLICT
    default_code = "conflict"


class PreconditionFailed(ApiError):
    """Somebody changed the row since the version that `If-Match` names; nothing was written."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_code = "precondition_failed"

    def __init__(self, present: int) -> None:
        detail = f"The row has version {present} now, which isn't what If-Match names."
        super().__init__(detail, "Read it again, apply your change to what is there, and send its new ETag.")


class BodyTooDeep(ApiError):
    """The body is nested past 32 levels, of lists and objects together."""

    default_code = "body_too_deep"

    def __init__(self, limit: int, pointer: str = "") -> None:
        detail = f"The body is nested deeper than {limit} levels."
        super().__init__(detail, faults=[Fault(pointer, "body_too_deep", detail)])


class BodyTooSlow(ApiError):
    """The body came more slowly than a client may send one; its connection was cut, and nothing was written."""

    default_code = "body_too_slow"

    def __init__(self, seconds: int, bytes_a_second: int) -> None:
        detail = f"The body didn't come within {seconds} seconds and one more for each {bytes_a_second} bytes."
        super().__init__(detail, "Send it again, from a faster connection or in smaller pieces.")


class BodyTooLarge(ApiError):
    """The body is larger than MAX_BODY_BYTES, 2.5 MB by default, or a file than IMPORT_MAX_BYTES."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"

    def __init__(self, limit: int, hint: str = "Send it in several requests.") -> None:
        super().__init__(f"The body is larger than {limit} bytes.", hint)


class IdempotencyKeyReused(ApiError):
    """The `Idempotency-Key` belongs to another request; a repetition has the same address and body."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"

    def __init__(self, difference: str) -> None:
        super().__init__(f"This Idempotency-Key was used {difference}.", "Take a new key for a new request.")


class IdempotencyKeyInUse(ApiError):
    """A request with this `Idempotency-Key` is being worked on; its answer is there in a moment (`Retry-After`)."""

    status_code = HTTPStatus.CONFLICT
    default_code = "idempotency_key_in_use"
    wait = 1

    def __init__(self) -> None:
        detail = "A request with this Idempotency-Key is being worked on."
        super().__init__(detail, f"Send it again in {self.wait} second, with the same key.")


class MissingExtra(ApiError):
    """A package that only this request needs isn't installed here."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "missing_extra"

    def __init__(self, name: str, extra: str, package: str) -> None:
        detail = f"{name} needs the extra {extra}, which isn't installed on this server."
        hint = f"Run .venv/bin/python -m pip install {package} there, and start the server and its workers again."
        super().__init__(detail, hint, [Fault(f"/{name}", "missing_extra", detail)])


class Unavailable(ApiError):
    """The database, or at sign-in Redis, can't answer now; `Retry-After` says when the request may succeed."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "service_unavailable"
    wait = 2  # seconds, as DRF's exceptions name it

    def __init__(self, what: str = "The database") -> None:
        super().__init__(f"{what} can't answer at the moment.", f"Try again in {self.wait} seconds.")


class Overloaded(ApiError):
    """All work slots are taken and too many requests wait already; this one wasn't begun."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "overloaded"
    wait = 1

    def __init__(self) -> None:
        super().__init__("The server has more to do than it can.", f"Try again in {self.wait} second.")


class RowLocked(ApiError):
    """Somebody else's transaction held what this request needs, for longer than a request may wait."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "row_locked"
    wait = 1

    def __init__(self) -> None:
        super().__init__(
            "Another transaction holds what this request needs; nothing was written.",
            f"Try again in {self.wait} second.",
        )


class QueryTimeout(ApiError):
    """The database took longer than a statement may (STATEMENT_TIMEOUT_MS) and was stopped."""

    status_code = HTTPStatus.GATEWAY_TIMEOUT
    default_code = "query_timeout"
    wait = 5

    def __init__(self) -> None:
        super().__init__(
            "The database took too long over this request and was stopped; nothing was written.",
            f"Narrow it by filters or take smaller pages, or try again in {self.wait} seconds.",
        )


# By PostgreSQL's codes for what it ends itself, as config/process/limits.py has it do.
LIMITS: dict[str | None, type[RowLocked | QueryTimeout]] = {"55P03": RowLocked, "57014": QueryTimeout}


def find_limit(error: BaseException) -> type[RowLocked | QueryTimeout] | None:
    """What a statement was ended for, and would be again; None where it failed in another way."""
    return LIMITS.get(getattr(error.__cause__, "sqlstate", None))
