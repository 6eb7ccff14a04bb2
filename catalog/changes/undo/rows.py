"""A logged row as values that can be compared and written; which columns an undo restores; the order of tables."""

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from functools import cache
from typing import Any

from django.db.models import DateTimeField, DecimalField, Field, ForeignKey, Model

from catalog.changes.entities import list_entities
from catalog.changes.logged import find_logged
from catalog.changes.tables import MOVED, VERSION

# Values by attname, such as `brand_id`.
type Values = dict[str, Any]

# Columns that belong to somebody else: orders reserve pieces, and an undo must not free them.
NOT_RESTORED = {("stock", "reserved")}


def read_row(entity: str, stored: Mapping[str, Any]) -> Values:
    """All values of a row of the log (`Change.before`). A column that the table has no longer is left out."""
    fields = [(field, str(field.column)) for field in list_entities()[entity]._meta.concrete_fields]
    return {field.attname: read_value(field, stored[column]) for field, column in fields if column in stored}


def read_value(field: Field[Any, Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(field, DecimalField):
        # JSON numbers are read as floats, which are exact enough for twelve digits.
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-field.decimal_places))
    if isinstance(field, DateTimeField):
        moment = field.to_python(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return field.to_python(value)


def read_instance(row: Model) -> Values:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@cache
def list_restorable() -> frozenset[str]:
    """The entities whose rows an undo writes: those of the catalogue. Orders and jobs go their own way."""
    return frozenset(
        entity
        for entity, model in list_entities().items()
        if model._meta.app_label == "catalog" and (logged := find_logged(model)) and not logged.only
    )


@cache
def list_columns(entity: str) -> tuple[str, ...]:
    """The columns that an undo compares and restores: what a writer may set. Triggers compute the others."""
    fields = list_entities()[entity]._meta.concrete_fields
    return tuple(
        field.attname
        for field in fields
        if field.editable
        and not field.primary_key
        and field.name not in (VERSION, MOVED)
        and (entity, field.attname) not in NOT_RESTORED
    )


@cache
def list_all_columns() -> frozenset[str]:
    """The columns that an undo restores, of all tables."""
    return frozenset(name for entity in list_restorable() for name in list_columns(entity))


@cache
def list_unique(model: type[Model]) -> tuple[str, ...]:
    """The columns in which no two rows may have the same value."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.unique and not field.primary_key)


@cache
def list_links(entity: str) -> Mapping[str, str]:
    """The columns that refer to a row of another logged table, each with that table's entity."""
    entities = {model: name for name, model in list_entities().items()}
    fields = list_entities()[entity]._meta.concrete_fields
    links = [field for field in fields if isinstance(field, ForeignKey) and field.remote_field.model in entities]
    return {field.attname: entities[field.remote_field.model] for field in links}


@cache
def sort_entities() -> tuple[str, ...]:
    """The restorable entities, each after those that its rows refer to."""
    return tuple(sorted(list_restorable(), key=lambda entity: (measure_depth(entity), entity)))


def measure_depth(entity: str) -> int:
    above = [other for other in list_links(entity).values() if other != entity]
    return 1 + max(map(measure_depth, above)) if above else 0
