"""A place in a list in, its cursor out, and back: a signed text that a client sends to get the next page.

A cursor holds the values that order the row where a page ended. It is bound to the route, the filters and the ordering
of its list. A cursor that was changed, or that belongs to another list, raises InvalidCursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer, b64_encode
from django.db.models import Expression, F, Field, QuerySet
from django.db.models.fields.tuple_lookups import (
    Tuple,
    TupleGreaterThan,
    TupleGreaterThanOrEqual,
    TupleLessThan,
    TupleLessThanOrEqual,
)
from django.utils.duration import duration_string
from django.utils.encoding import force_bytes
from rest_framework.request import Request

from config.api.problems.errors import InvalidCursor
from config.api.reads.orderings import Keyset

# The name of the module that first signed cursors: with another salt no cursor that a client holds would be valid.
SALT = "config.api.pagination"

# A cursor doesn't depend on these parameters: a client may change them from page to page.
UNBOUND = frozenset({"cursor", "page", "page_size", "count", "fields", "omit", "expand"})


@dataclass(frozen=True)
class CursorPosition:
    """A place in a list: after the row with these values (before it if `backward`), or at it if `inclusive`."""

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False

    def narrow(self, rows: QuerySet[Any], keyset: Keyset, values: Sequence[Expression]) -> QuerySet[Any]:
        """The rows after the position, or before it; `values` are expressions for the position's own values."""
        # WHERE (a, id) < (x, y) ORDER BY a DESC, id DESC: one range of the index. Spelled out as
        # (a < x OR (a = x AND id < y)) it is none: 2,404 ms against 0.24 at row 1.9 M.
        below = keyset.descending != self.backward
        compare = {
            (True, False): TupleLessThan,
            (True, True): TupleLessThanOrEqual,
            (False, False): TupleGreaterThan,
            (False, True): TupleGreaterThanOrEqual,
        }[below, self.inclusive]
        columns = Tuple(*(F(name) for name in keyset.names))
        return rows.filter(compare(columns, tuple(values))).order_by(*keyset.order(self.backward))


def list_parameters(request: Request) -> Iterator[tuple[str, str]]:
    """Each name and value of the query string; views other than ours may accept a name several times."""
    for name, values in request.query_params.lists():
        yield from ((name, value) for value in values)


def find_list_mark(request: Request, keyset: Keyset) -> str:
    """A digest of the route, the filters and the ordering, to which a cursor is bound."""
    filters = sorted(item for item in list_parameters(request) if item[0] not in UNBOUND and item[1])
    text = repr((request.path, filters, keyset))
    return blake2b(text.encode(), digest_size=8).hexdigest()


class CursorSigner(Signer):
    """Django's Signer with one keyed BLAKE2 (RFC 7693) in place of two hashes: 4 microseconds, where Django takes 12.

    A dot separates value and signature, so that an address needs no encoding.
    """

    def signature(self, value: str | bytes, key: str | bytes | None = None) -> str:
        return b64_encode(
            blake2b(force_bytes(value), key=_derive_key(key or self.key), digest_size=16).digest()
        ).decode()


@lru_cache(maxsize=8)
def _derive_key(secret: str | bytes) -> bytes:
    return blake2b(force_bytes(secret), person=b"tenfold cursor", digest_size=32).digest()


@lru_cache(maxsize=8)
def _make_signer(key: str, fallbacks: tuple[str, ...]) -> CursorSigner:
    return CursorSigner(key=key, fallback_keys=list(fallbacks), salt=SALT, sep=".")


def open_signer() -> CursorSigner:
    """The signer with today's SECRET_KEY; what former ones (SECRET_KEY_FALLBACKS) have signed stays valid."""
    return _make_signer(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


def write_cursor(position: CursorPosition, mark: str) -> str:
    """The cursor of a position in the list of `mark`; letters, digits and `.-_`, so it needs no encoding in a URL."""
    values = [_write_value(value) for value in position.values]
    return open_signer().sign_object([mark, values, int(position.backward), int(position.inclusive)])


def read_cursor(text: str, mark: str, fields: Sequence[Field[Any, Any]]) -> CursorPosition:
    """The position in a cursor; InvalidCursor if it is damaged, or of another list than that of `mark`.

    `fields` are the columns that order the list; they turn the cursor's JSON into the columns' own types.
    """
    try:
        found, values, backward, inclusive = open_signer().unsign_object(text)
        if found != mark or len(values) != len(fields):
            raise InvalidCursor
        typed = tuple(field.to_python(value) for field, value in zip(fields, values, strict=True))
    except (BadSignature, ValidationError, ValueError, TypeError) as error:
        raise InvalidCursor from error
    return CursorPosition(typed, bool(backward), bool(inclusive))


def _write_value(value: Any) -> Any:
    """A value in a form that JSON holds exactly: times to the microsecond, decimals with all digits."""
    match value:
        case date() | time():  # datetime is a date, too
            return value.isoformat()
        case timedelta():
            return duration_string(value)
        case Decimal() | UUID():
            return str(value)
    return value
