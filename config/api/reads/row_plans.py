"""The plan of one row: it reads the row's JSON by the row's key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Field

from config.api.database.statements import Page, Statement
from config.api.reads.conditional import make_etag
from config.api.reads.plans import Reply


@dataclass(frozen=True)
class RowPlan:
    """Reads one row. `read` takes the value of the row's `key`, and returns its JSON, and its version if it has one."""

    key: Field[Any, Any]
    read: Callable[[Any], Sequence[Any]]

    def reply(self, key: Any) -> Reply | None:
        """The row's JSON with its ETag; None if there is no such row. `key` is as in the URL, in either form."""
        is_plain = not isinstance(key, str) or key.isascii()
        return self.find(key) or (None if is_plain else self.find(normalize("NFC", key)))

    def find(self, text: Any) -> Reply | None:
        try:
            shown, *version = self.read(self.key.to_python(text))
        except (ObjectDoesNotExist, ValidationError, OverflowError):
            return None  # the last two errors mean that no row can have such a key
        body = shown.encode() if isinstance(shown, str) else shown
        return Reply(body, {"ETag": make_etag(body, *version)}, rows=1)


def fetch_row(statement: Statement | None, value: Any) -> Sequence[Any]:
    """The first row of a statement with the parameter `value`: its JSON, then its other columns.

    Raises ObjectDoesNotExist if there is no row.
    """
    page = statement.fetch_page(1, [value]) if statement else Page()
    if not page.rows:
        raise ObjectDoesNotExist
    return [page.rows[0], *page.first]
