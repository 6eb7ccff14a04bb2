"""What narrows an export of the change log: as the feed's own parameters do."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from catalog.change_views import check_entities
from catalog.filters import TextInFilter
from catalog.models import Change
from config.api.filtering import MomentFilter, SparseFilterSet


class ChangeFilters(SparseFilterSet):
    """Times are RFC 3339."""

    since = MomentFilter(field_name="at", lookup_expr="gte", label="Changes made at or after this time")
    until = MomentFilter(field_name="at", lookup_expr="lt", label="Changes made before this time")
    entity = TextInFilter(method="keep_entities", label="Changes of these alone, parted by commas")

    class Meta:
        model = Change
        fields = ()

    def keep_entities(self, rows: QuerySet[Change], name: str, entities: Sequence[str]) -> QuerySet[Any]:
        check_entities(entities)
        return rows.filter(entity__in=entities)
