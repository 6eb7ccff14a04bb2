"""Changes in, those of rows that a caller may see out: in the feed, its exports and the admin.

Products are hidden by their status (feed.py). Rows of other tables may belong to somebody: an order, a job. Their
querysets have `visible_to(caller)`. A caller with the model's permission to view sees all rows.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from catalog.changes.entities import list_entities, list_without_product
from catalog.changes.models import Change
from config.api.access.permissions import Caller


def only_visible(changes: QuerySet[Change], caller: Caller) -> QuerySet[Change]:
    """Without the changes of somebody else's rows, and without those of personal rows that are gone."""
    for entity, rows in list_restricted(caller):
        changes = changes.filter(~Q(entity=entity) | Exists(rows.filter(pk=OuterRef("entity_id"))))
    return changes


def list_restricted(caller: Caller) -> Iterator[tuple[str, QuerySet[Any]]]:
    """The entities of whose rows the caller may see only some, each with the rows that the caller may see."""
    for entity in sorted(list_without_product()):
        model = list_entities()[entity]
        rows: Any = model._default_manager.all()
        if hasattr(rows, "visible_to") and not may_view(caller, model):
            yield entity, rows.visible_to(caller)


def may_view(caller: Caller, model: type[Model]) -> bool:
    return caller.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
