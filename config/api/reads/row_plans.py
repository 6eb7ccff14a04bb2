"""How one row is read, by its key: a plan in, the row's JSON out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Field

from config.api.database.statements import Page, Statement
from config.api.reads.conditional import make_etag
from config.api.reads.plans import Reply


@dataclass(frozen=True)
class RowPlan:
    """How one row is read, by the value of its `key`: `read` returns its JSON, and its version if it has one."""

    key: Field[Any, Any]
    read: Callable[[Any], Sequence[Any]]

    def reply(self, text: str) -> Reply | None:
        """The row as JSON with its ETag, by its key as the URL has it; None if there is no such row."""
        try:
            shown, *version = self.read(self.key.to_python(text))
        except (ObjectDoesNotExist, ValidationError, OverflowError):
            return None  # after the last two: no row has such a key
        body = shown.encode() if isinstance(shown, str) else shown
        return Reply(body, {"ETag": make_etag(body, *version)}, rows=1)


def fetch_row(statement: Statement | None, value: Any) -> Sequence[Any]:
    """The first row of a statement, given `value`: its JSON and the columns beside; else ObjectDoesNotExist."""
    page = statement.fetch_page(1, [value]) if statement else Page()
    if not page.rows:
        raise ObjectDoesNotExist
    return [page.rows[0], *page.first]
