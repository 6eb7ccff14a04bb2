"""Writes and reads cursors. A cursor is a signed text for a place in a list; a client sends it to get the next page.

It holds the ordering values of the row where the last page ended. It is bound to the route, the filters and the
ordering of its list. A cursor that was changed, or that belongs to another list, raises InvalidCursor.
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

# The name of the module that first signed cursors. With another salt the cursors that clients hold would be invalid.
SALT = "config.api.pagination"

# A cursor isn't bound to these parameters: a client may change them from page to page.
UNBOUND = frozenset({"cursor", "page", "page_size", "count", "fields", "omit", "expand", "facets", "facet_size"})


@dataclass(frozen=True)
class CursorPosition:
    """A place in a list: after the row with these values (before it if `backward`), or at it if `inclusive`."""

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False

    def narrow(self, rows: QuerySet[Any], keyset: Keyset, values: Sequence[Expression]) -> QuerySet[Any]:
        """The rows after the position, or before it. `values` are expressions for the position's values."""
        # WHERE (a, id) < (x, y) ORDER BY a DESC, id DESC reads one range of the index: 0.24 ms at row 1.9 M. The
        # condition (a < x OR (a = x AND id < y)) can't use the index like this: 2,404 ms.
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
    """Each name and value of the query string. The same name may come several times."""
    for name, values in request.query_params.lists():
        yield from ((name, value) for value in values)


def find_list_mark(request: Request, keyset: Keyset) -> str:
    """A digest of the path, the filters and the ordering. A cursor is bound to it, under whichever sub-path."""
    filters = sorted(item for item in list_parameters(request) if item[0] not in UNBOUND and item[1])
    text = repr((request.path_info, filters, keyset))
    return blake2b(text.encode(), digest_size=8).hexdigest()


class CursorSigner(Signer):
    """Django's Signer, but with one keyed BLAKE2 (RFC 7693) instead of two hashes: 4 microseconds instead of 12.

    A dot separates the value and the signature, so the cursor needs no encoding in a URL.
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
    """The signer with the current SECRET_KEY. It also accepts signatures by former keys (SECRET_KEY_FALLBACKS)."""
    return _make_signer(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS))


def write_cursor(position: CursorPosition, mark: str) -> str:
    """The cursor of a position in the list with this mark. It has only letters, digits and `.-_`."""
    values = [_write_value(value) for value in position.values]
    return open_signer().sign_object([mark, values, int(position.backward), int(position.inclusive)])


def read_cursor(text: str, mark: str, fields: Sequence[Field[Any, Any]]) -> CursorPosition:
    """The position that a cursor holds. Raises InvalidCursor if it is damaged, or if its list has another mark.

    `fields` are the columns that order the list. They convert the cursor's JSON values into the columns' types.
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
        case date() | time():  # a datetime is also a date
            return value.isoformat()
        case timedelta():
            return duration_string(value)
        case Decimal() | UUID():
            return str(value)
    return value
