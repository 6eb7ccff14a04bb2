"""The page before an action of a list: what will be done to how many rows, and the first of them."""

from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from config.api.admin.dashboard import show_count
from config.api.reads.counting import BOUND, count_at_most

# The rows that the page names.
SHOWN_FIRST = 20
# What the list posts to run an action.
CARRIED = ("action", "select_across", "index", ACTION_CHECKBOX_NAME)


def is_confirmed(request: HttpRequest) -> bool:
    return request.POST.get("confirmed") == "1"


def ask_first(page: Any, request: HttpRequest, rows: QuerySet[Any], what: str, note: str = "") -> HttpResponse:
    """`what` ends the sentence "3 products will be …". Rows are told as in the palette. "Yes" posts it again."""
    number = count_at_most(rows, BOUND)
    context = {
        **page.admin_site.each_context(request), "title": "Are you sure?", "opts": page.opts, "what": what,
        "number": show_count(number, BOUND), "note": note, "more": number > SHOWN_FIRST,
        "noun": page.opts.verbose_name if number == 1 else page.opts.verbose_name_plural,
        "rows": [", ".join(page.describe_found(row)) for row in rows.order_by("pk")[:SHOWN_FIRST]],
        "values": [(name, value) for name in CARRIED for value in request.POST.getlist(name)],
    }  # fmt: skip
    return TemplateResponse(request, "admin/confirm.html", context)
