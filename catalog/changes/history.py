"""Changes in, each row before and after the change out: the audit for staff.

The log stores each row as it was before the change. The row after a change is the row before its next change, or the
row as it is now. An import doesn't store rows, so `before` of its change is unknown, and so is `after` of the change
ahead of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import DateTimeField, DecimalField, Field, Model, OuterRef, QuerySet, Subquery
from django.db.models.constants import LOOKUP_SEP
from django.db.models.functions import Coalesce

from catalog.changes.entities import list_entities
from catalog.changes.log import number_changes
from catalog.changes.logged import find_logged
from catalog.changes.models import Change

type Row = dict[str, Any]
type Key = tuple[str, int]


def describe_changes(positions: Sequence[int]) -> list[dict[str, Any]]:
    """A list of `{"position", "at", "actor", "request_id", "entity", "entity_id", "op", "version", "before", "after"}`.

    For an update, `before` and `after` have only the columns that differ. Runs two queries, and one more for each table
    whose current rows are needed.
    """
    changes = list(with_next(Change.objects.filter(pk__in=positions)).order_by("-position"))
    following = Change.objects.in_bulk([change.next_position for change in changes if change.next_position])
    present = read_present(change for change in changes if change.next_position is None)
    return [describe(change, find_after(change, following, present)) for change in changes]


def with_next(rows: QuerySet[Change]) -> QuerySet[Any]:
    """Adds `next_position`, the position of the same row's next change, to each change."""
    later = Change.objects.filter(
        entity=OuterRef("entity"), entity_id=OuterRef("entity_id"), position__gt=OuterRef("position")
    ).order_by("position")
    # Two subqueries, each with its own index. The delete of stock whose variant is gone too has no product.
    of_product, others = later.filter(product_id=OuterRef("product_id")), later.filter(product_id=None)
    first = [Subquery(found.values("position")[:1]) for found in (of_product, others)]
    return rows.annotate(next_position=Coalesce(*first))


def find_after(change: Any, following: dict[int, Change], present: dict[Key, Row]) -> Row | None:
    if change.op == Change.Op.DELETE:
        return None
    if change.next_position is not None:
        return following[change.next_position].before
    return present.get((change.entity, change.entity_id))


def read_present(changes: Iterable[Change]) -> dict[Key, Row]:
    """The current rows; one query for each table."""
    models, keys = list_entities(), defaultdict(set)
    for change in changes:
        if change.entity in models:
            keys[change.entity].add(change.entity_id)
    return {
        (entity, row.pk): {str(field.column): getattr(row, field.attname) for field in row._meta.concrete_fields}
        for entity, wanted in keys.items()
        for row in models[entity]._default_manager.filter(pk__in=wanted)
    }


def describe(change: Change, after: Row | None) -> dict[str, Any]:
    kept, left = show_row(change.entity, change.before), show_row(change.entity, after)
    if kept is not None and left is not None:
        differing = [name for name in kept if name not in left or kept[name] != left[name]]
        kept, left = ({name: row.get(name) for name in differing} for row in (kept, left))
    names = ("position", "at", "actor", "request_id", "entity", "entity_id", "op", "version")
    return {name: getattr(change, name) for name in names} | {"before": kept, "after": left}


def show_row(entity: str, row: Row | None) -> Row | None:
    """A row of the log or of its table in the API's formats: decimals as text, times in UTC.

    A row of an entity that this release doesn't know is shown as it is stored.
    """
    model = list_entities().get(entity)
    if row is None or model is None:
        return row
    derived = find_derived(model)
    columns = [field for field in model._meta.concrete_fields if field.name not in derived]
    return {field.attname: show_value(field, row[field.column]) for field in columns if field.column in row}


def find_derived(model: type[Model]) -> tuple[str, ...]:
    """Fields whose change is no change of the row, such as the key of a title."""
    logged = find_logged(model)
    return logged.derived if logged else ()


def show_value(field: Field[Any, Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, DecimalField):
        # JSON numbers are read as floats, which are exact enough for twelve digits.
        return str(Decimal(str(value)).quantize(Decimal(1).scaleb(-field.decimal_places)))
    if isinstance(field, DateTimeField):
        moment = field.to_python(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    return field.to_python(value)


def show_actor(actor: str) -> str:
    """Who wrote a change, for people; one query if it was a user."""
    return name_actors([actor])[actor]


def name_last_author(row: Model) -> str:
    """Who changed a logged row last, for people; "Somebody" if the log doesn't know. A few short queries."""
    logged = find_logged(type(row))
    if logged is None:
        return "Somebody"
    number_changes()
    rows = Change.objects.filter(entity=logged.entity, entity_id=row.pk, product_id=follow(row, logged.product))
    actor = rows.order_by("-position").values_list("actor", flat=True).first()
    return show_actor(actor) if actor else "Somebody"


def follow(row: Any, path: str) -> Any:
    """The id at the end of a path of Meta.logged; None without a path."""
    for name in path.split(LOOKUP_SEP) if path else ():
        row = getattr(row, name)
    return (row.pk if isinstance(row, Model) else row) if path else None


def name_actors(actors: Iterable[str]) -> dict[str, str]:
    """The words for each actor: a user's e-mail address, or the role of the database. At most one query."""
    wanted = set(actors)
    keys = {int(actor[5:]) for actor in wanted if actor.startswith("user:") and actor[5:].isdigit()}
    users = get_user_model()._default_manager.filter(pk__in=keys) if keys else ()
    names = {f"user:{user.pk}": user.get_username() for user in users}
    return {actor: names.get(actor) or describe_actor(actor) for actor in wanted}


def describe_actor(actor: str) -> str:
    kind, _, name = actor.partition(":")
    if kind == "user":
        return f"a user who is gone (#{name})"
    return f"the database role {name}" if kind == "role" else actor or "the server"
