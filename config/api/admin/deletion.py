"""Deletion in the admin. Rows that the database deletes together with others are counted, not read.

Deleting a row that other rows refer to is an error with a sentence, before the database would raise one at COMMIT.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.auth import get_permission_codename
from django.db import IntegrityError
from django.db.models import CASCADE, DB_CASCADE, DO_NOTHING, Model, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin

from config.api.admin.counts import count_rows

# The most rows that are deleted at once: memory holds them all, and nobody reads a longer confirmation page.
DELETE_MOST = 1_000
# The most rows that a confirmation page names.
NAMES_SHOWN = 100


class CountedDeletion(ModelAdmin):
    """An admin whose pages for deletion take the same time, however many other rows refer to the deleted ones."""

    actions: ClassVar[Sequence[str]] = ("delete_selected",)
    delete_confirmation_template = "admin/delete_or_refuse.html"
    delete_selected_confirmation_template = "admin/delete_selected_or_refuse.html"

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """The content of a confirmation page, by counts. Django's own method reads every row that would be deleted."""
        rows = list(objs[:DELETE_MOST])
        related = list(count_related(rows, (CASCADE, DB_CASCADE)))
        counts = {str(self.opts.verbose_name_plural): len(rows)}
        counts |= {str(model._meta.verbose_name_plural): number for model, number in related}
        lacking = {str(model._meta.verbose_name) for model, _ in related if not self.may_delete(request, model)}
        return [str(row) for row in rows[:NAMES_SHOWN]], counts, lacking, list(self.find_hindrances(request, rows))

    def may_delete(self, request: HttpRequest, model: type[Model]) -> bool:
        if not self.admin_site.is_registered(model):
            return True
        codename = get_permission_codename("delete", model._meta)
        return bool(request.user.has_perm(f"{model._meta.app_label}.{codename}"))

    def find_hindrances(self, request: HttpRequest, rows: Sequence[Any]) -> Iterator[str]:
        """Sentences that tell why `rows` can't be deleted."""
        for model, number in count_related(rows, (DO_NOTHING,)):
            one, many = model._meta.verbose_name, model._meta.verbose_name_plural
            yield f"1 {one} uses it." if number == 1 else f"{number} {many} use it."

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, object_id, extra_context)
        except IntegrityError:
            # A new row refers to it since the check. The page is shown again and names that row.
            self.refuse_used(request)
            return HttpResponseRedirect(request.get_full_path())
        return response

    @admin.action(permissions=("delete",), description="Delete the selected rows")
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        keys = list(queryset.values_list("pk", flat=True)[: DELETE_MOST + 1])
        if len(keys) > DELETE_MOST:
            sentence = f"At most {DELETE_MOST:,} rows can be deleted at a time: select fewer rows."
            self.message_user(request, sentence, messages.ERROR)
            return None
        try:
            return delete_selected(self, request, queryset.model._base_manager.filter(pk__in=keys))
        except IntegrityError:
            self.refuse_used(request)
            return None

    def refuse_used(self, request: HttpRequest) -> None:
        sentence = "Nothing was deleted: meanwhile another row uses one of these."
        self.message_user(request, sentence, messages.ERROR)


def count_related(rows: Sequence[Model], ways: Sequence[Any]) -> Iterator[tuple[type[Model], int]]:
    """`(model, number)` of the rows that refer to `rows` with an on_delete in `ways`; counts at most BOUND of each."""
    relations: Iterable[Any] = get_candidate_relations_to_delete(rows[0]._meta) if rows else ()
    for relation in relations:
        model: type[Model] = relation.related_model
        if relation.on_delete not in ways or model._meta.auto_created:
            continue
        found = model._base_manager.filter(**{f"{relation.field.name}__in": rows})
        if number := count_rows(found):
            yield model, number
