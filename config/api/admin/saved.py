"""Saved views: a list's search, filters and order under a name, for the user who saved it."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from config.api.models import SavedView

# For each user and table. The list's page reads them all.
MOST_VIEWS = 20
LONGEST_NAME = 60
LONGEST_QUERY = 2_000
# Not part of a view: the page's number, and what a popup adds.
PASSING = ("p", "all", "e", "_popup", "_to_field")


def read_views(user: Any, table: str) -> Sequence[SavedView]:
    return list(SavedView.objects.filter(user_id=user.pk, table=table).order_by("name")[:MOST_VIEWS])


def clean_query(text: str, others: Sequence[str] = ()) -> str:
    """The query of a view, by name: without what belongs to one visit, and without `others`."""
    kept = sorted((name, values) for name, values in QueryDict(text).lists() if name not in (*PASSING, *others))
    return urlencode(kept, doseq=True)


@require_POST
def change_views(request: HttpRequest) -> HttpResponse:
    """Save, rename or remove a view of one's own, and go back to the list."""
    posted = request.POST
    model = next((model for model in admin.site._registry if model._meta.label_lower == posted.get("table")), None)
    if model is None:
        return HttpResponseRedirect(reverse("admin:index"))
    query = clean_query(posted.get("query", ""))
    for what, change in CHANGES.items():
        if what in posted and (refusal := change(request, model._meta.label_lower, query)):
            messages.error(request, refusal)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return HttpResponseRedirect(f"{address}?{query}" if query else address)


def save(request: HttpRequest, table: str, query: str) -> str:
    """Save the list as it is; a view of this name is replaced. Returns why it can't, or ""."""
    user: Any = request.user
    if not (name := read_name(request)):
        return f"Give the view a name of at most {LONGEST_NAME} letters."
    if len(query) > LONGEST_QUERY:
        return "The filters are too long to be saved: take some off."
    own = SavedView.objects.filter(user_id=user.pk, table=table)
    if own.exclude(name=name).count() >= MOST_VIEWS:
        return f"You have {MOST_VIEWS} views of this list: remove one first."
    SavedView.objects.update_or_create(user_id=user.pk, table=table, name=name, defaults={"query": query})
    messages.success(request, f"“{name}” is saved above the list.")
    return ""


def rename(request: HttpRequest, table: str, query: str) -> str:
    if not (name := read_name(request)):
        return f"Give the view a name of at most {LONGEST_NAME} letters."
    try:
        with transaction.atomic():
            find_own(request, table, "rename").update(name=name)
    except IntegrityError:
        return f"You have a view “{name}” already."
    return ""


def remove(request: HttpRequest, table: str, query: str) -> str:
    find_own(request, table, "remove").delete()
    return ""


def find_own(request: HttpRequest, table: str, what: str) -> Any:
    user: Any = request.user
    key = request.POST.get(what, "")
    found = SavedView.objects.filter(user_id=user.pk, table=table)
    return found.filter(pk=int(key)) if key.isascii() and key.isdigit() and len(key) <= 18 else found.none()


def read_name(request: HttpRequest) -> str:
    """The given name; "" if there is none, or if it is too long or has characters that can't be seen."""
    name = " ".join(request.POST.get("name", "").split())
    return name if name.isprintable() and len(name) <= LONGEST_NAME else ""


CHANGES = {"save": save, "rename": rename, "remove": remove}
