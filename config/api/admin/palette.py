"""A text in, rows of the tables in the search palette (Ctrl+K) out: a few of each table, within a time limit."""

from collections.abc import Iterator
from typing import Any

from django.db import OperationalError, connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from unfold.dataclasses import SearchResult

from config.api.admin.lists import BoundedAdmin
from config.api.database.time_limits import end_after

# Rows of each table, and what a look into one may take.
SHOWN = 5
LOOK_MS = 250
# Shorter texts name nothing, and longer ones no row.
SHORTEST, LONGEST = 2, 200


def find_rows(site: Any, request: HttpRequest, term: str) -> Iterator[SearchResult]:
    if not SHORTEST <= len(term) <= LONGEST:
        return
    for page in list(site._registry.values()):
        if getattr(page, "in_palette", False) and page.has_view_permission(request):
            yield from look(page, request, term)


def look(page: BoundedAdmin, request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """The first rows of one table; then a link to its list, which has the others."""
    names: Any = page.opts
    noun = capfirst(str(names.verbose_name))
    address = f"{reverse(f'admin:{names.app_label}_{names.model_name}_changelist')}?{urlencode({'q': term})}"
    try:
        with end_after(connection, LOOK_MS):
            found, _ = page.get_search_results(request, page.get_queryset(request), term)
            rows = list(found.order_by(*page.ordering)[: SHOWN + 1])
    except OperationalError:
        title = f"{capfirst(str(names.verbose_name_plural))} with “{term}”"
        yield SearchResult(title, "takes longer: search the list", address, page.icon)
        return
    for row in rows[:SHOWN]:
        link = reverse(f"admin:{names.app_label}_{names.model_name}_change", args=(row.pk,))
        title, description = page.describe_found(row)
        yield SearchResult(title, f"{noun} {description}".strip(), link, page.icon)
    if len(rows) > SHOWN:
        yield SearchResult(f"More with “{term}”", str(names.verbose_name_plural), address, page.icon)
