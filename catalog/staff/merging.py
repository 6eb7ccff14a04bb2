"""An action of the lists of brands and categories: one of the selected rows stays, and the others become part of it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from catalog.edits.jobs import find_products, submit_edit
from catalog.edits.merging import name_row, read_merge, write_merge
from catalog.edits.models import EditJob
from config.api.admin.counts import count_rows
from config.api.jobs.models import JobFailure
from config.api.problems.errors import ApiError
from config.api.reads.counting import BOUND, count_at_most

MOST_MERGED = 20


@admin.action(permissions=("merge",), description="Merge into one…")
def merge_rows(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
    """Asks which row stays, with the number of products of each; then makes the job that merges."""
    rows = list(queryset.order_by("pk")[: MOST_MERGED + 1])
    if not 2 <= len(rows) <= MOST_MERGED:
        noun = model_admin.opts.verbose_name_plural
        model_admin.message_user(request, f"Select 2 to {MOST_MERGED} {noun}; one of them stays.", messages.ERROR)
        return None
    into = next((row for row in rows if str(row.pk) == request.POST.get("into")), None)
    if into is None:
        return ask(model_admin, request, rows)
    try:
        job = submit_merge(request.user, into, [row for row in rows if row != into])
    except (JobFailure, ApiError) as error:
        model_admin.message_user(request, f"{error} {getattr(error, 'hint', '')}".strip(), messages.ERROR)
        return None
    return HttpResponseRedirect(reverse("admin:catalog_editjob_change", args=(job.pk,)))


def ask(model_admin: Any, request: HttpRequest, rows: list[Any]) -> HttpResponse:
    choices = [(row.pk, name_row(row), row.slug, count_rows(row.products.all())) for row in rows]
    context = {
        **model_admin.admin_site.each_context(request), "title": "Merge into one", "opts": model_admin.opts,
        "choices": choices, "box": ACTION_CHECKBOX_NAME, "most": max(choices, key=lambda choice: int(choice[3]))[0],
    }  # fmt: skip
    return TemplateResponse(request, "admin/merge.html", context)


def submit_merge(owner: Any, into: Any, merged: list[Any]) -> EditJob:
    """Raises an ApiError or JobFailure, before anything is written, if the rows can't be merged."""
    job = EditJob(owner=owner, values=write_merge(into, merged))
    read_merge(job.values).refuse()
    job.until_key = find_products(job).aggregate(last=Max("pk"))["last"] or 0
    number = count_at_most(find_products(job), BOUND)
    job.rows_total = number if number <= BOUND else None
    return submit_edit(job)
