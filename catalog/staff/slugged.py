"""The admin base of brands and categories: small tables whose rows are found by their names."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import slugify

from catalog.edits.merging import list_rights
from catalog.staff.merging import merge_rows
from config.api.admin.lists import BoundedAdmin

# The columns that say when and how often a row was changed; a trigger writes them.
RECORD = ("version", "created_at", "updated_at")


class SluggedAdmin(BoundedAdmin):
    """The admin of a table with a name and a slug, of at most about 100,000 rows."""

    actions: ClassVar[Sequence[Any]] = (merge_rows, "delete_selected")
    list_display: ClassVar[Sequence[str]] = ("name", "slug", "version", "updated_at")
    list_display_links = ("name", "slug")
    fields: ClassVar[Sequence[str]] = ("name", "slug", *RECORD)
    readonly_fields = RECORD
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    ordering = ("slug",)
    sortable_by = ("slug",)
    # This search reads the whole table, so that it finds words in the middle: 10 ms at 100,000 rows.
    search_fields = ("slug__contains",)
    search_help_text = "Part of the name"

    def search_for(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        # A slug has no capital letters and no punctuation, so both "émile co" and "Émile & Co" find "Émile & Co".
        slug = slugify(term, allow_unicode=True)
        return super().search_for(queryset, slug) if slug else queryset.none()

    def has_merge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(list_rights(str(self.opts.model_name)))
