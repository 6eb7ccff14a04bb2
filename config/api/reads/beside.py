"""Members that a list shows beside its rows, such as the text that a search was corrected to."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet


def show_beside(rows: QuerySet[Any], members: Mapping[str, Any]) -> None:
    """A list of `rows`, or of rows that are narrowed or ordered from them, shows these members."""
    # A query has the attributes of the one that it is a copy of.
    rows.query.beside = members  # type: ignore[attr-defined]  # ours


def find_beside(rows: QuerySet[Any]) -> Mapping[str, Any]:
    members: Mapping[str, Any] = getattr(rows.query, "beside", {})
    return members
