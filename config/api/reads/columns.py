"""Finds the column that a serializer's field shows, and how SQL writes the column as JSON.

A field without such a column, or without such SQL, raises NotCompilable with the reason.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import JSONField, Model
from rest_framework import ISO_8601
from rest_framework import serializers as drf
from rest_framework.relations import PrimaryKeyRelatedField
from rest_framework.settings import api_settings

from config.api.reads.selections import ReadSerializer, find_model, find_nested

# The most rows that a nested list shows, unless its `max_length` names another number. The list's own URL, which is in
# the same answer, has all rows.
NESTED_ROWS = 20

# The kind of a column, by the name of Django's field class. Other types can't be compiled.
COLUMN_KINDS = {
    **dict.fromkeys(("CharField", "SlugField", "TextField"), "text"),
    **dict.fromkeys((f"{size}IntegerField" for size in ("", "Small", "Big")), "number"),
    **dict.fromkeys((f"Positive{size}IntegerField" for size in ("", "Small", "Big")), "number"),
    **dict.fromkeys((f"{size}AutoField" for size in ("", "Small", "Big")), "number"),
    "BooleanField": "flag",
    "DateTimeField": "time",
    "DecimalField": "decimal",
    "JSONField": "json",
    "UUIDField": "uuid",
}

# Field classes of serializers, the dialect's method that writes them, and the kinds of columns that they may show. The
# first entry that matches is used.
FORMS: tuple[tuple[tuple[type[Any], ...], str, tuple[str, ...]], ...] = (
    ((drf.BooleanField,), "flag", ("flag",)),
    ((drf.IntegerField,), "number", ("number",)),
    ((drf.DecimalField,), "decimal", ("decimal", "number")),
    ((drf.DateTimeField,), "time", ("time",)),
    ((drf.UUIDField,), "uuid", ("uuid",)),
    ((drf.CharField,), "text", ("text",)),
    ((drf.MultipleChoiceField,), "text", ()),  # its value is a set, which no column can hold
    ((drf.ChoiceField,), "text", ("text", "number")),
    ((drf.JSONField, drf.DictField, drf.ListField), "json", ("json",)),
)


class NotCompilable(TypeError):
    """SQL can't write a field of a read serializer. The message names the serializer and the field."""


def find_limit(member: Any) -> int:
    """The greatest number of rows that a nested list shows."""
    return member.max_length or NESTED_ROWS


def find_column(model: type[Model], name: str) -> Any:
    """A column of the model's own table."""
    try:
        column: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        column = None
    if not getattr(column, "concrete", False):
        raise NotCompilable(f"{model.__name__} has no column {name}")
    if column.model._meta.concrete_model is not model._meta.concrete_model:
        raise NotCompilable(f"{name} is a column of {column.model.__name__}, in another table")
    return column


def find_key(model: type[Model], name: str) -> Any:
    """A foreign key of the model's own table."""
    key = find_column(model, name)
    if not key.is_relation:
        raise NotCompilable(f"{name} is not a foreign key")
    return key


def find_slug_column(model: type[Model], slug: str, member: Any) -> Any:
    """The column that the field `member` shows in place of a related row of `model`."""
    try:
        return find_column(model, slug)
    except NotCompilable as reason:
        nested = find_nested(member)
        remedy = f" to show without `expand`; name another one in {nested.__name__}.Meta.slug_field" if nested else ""
        raise NotCompilable(f"{reason}{remedy}") from None


def find_reverse(model: type[Model], accessor: str) -> Any:
    """The reverse relation of `model` that the attribute `accessor` gives."""
    found = [each for each in model._meta.related_objects if each.get_accessor_name() == accessor]
    if not found or found[0].many_to_many:
        raise NotCompilable(f"{accessor} is not the reverse of a foreign key to {model.__name__}")
    return found[0]


def check_model(serializer: ReadSerializer, model: type[Model]) -> None:
    """Raise NotCompilable if the serializer is of another model."""
    if find_model(serializer)._meta.concrete_model is not model._meta.concrete_model:
        raise NotCompilable(f"{serializer.__name__} is of {find_model(serializer).__name__}, not of {model.__name__}")


def check_rows(serializer: ReadSerializer, model: type[Model]) -> None:
    """Raise NotCompilable if the model's default manager filters rows: DRF would leave them out, the SQL wouldn't."""
    check_model(serializer, model)
    if model._default_manager.get_queryset().query.where:
        raise NotCompilable(f"the default manager of {model.__name__} leaves rows out")


def find_kind(column: Any) -> str:
    """The kind of a column: `text`, `number`, …"""
    if column.is_relation:
        return find_kind(column.target_field)
    kind = COLUMN_KINDS.get(column.get_internal_type())
    # A from_db_value() changes the value in Python. JSONField's only parses the JSON text, which SQL needn't do.
    if kind is None or (hasattr(column, "from_db_value") and not isinstance(column, JSONField)):
        raise NotCompilable(f"{type(column).__name__} has no form in SQL")
    return kind


def find_form(member: Any, column: Any) -> str:
    """The name of the dialects' method that writes a column as the serializer's field `member` shows it."""
    check_field(member)
    if isinstance(member, PrimaryKeyRelatedField):
        return find_kind(column)
    for classes, form, kinds in FORMS:
        if isinstance(member, classes):
            if not hasattr(member, "database_expression") and find_kind(column) not in kinds:
                raise NotCompilable(f"{type(member).__name__} over {type(column).__name__} has no form in SQL")
            return form
    raise NotCompilable(f"{type(member).__name__} has no form in SQL")


def check_field(member: Any) -> None:
    """Raise NotCompilable if the field doesn't show its column as DRF's class does by default."""
    own = {"to_representation": ("database_expression", "own_paths"), "get_attribute": ("database_default",)}
    for method, instead in own.items():
        if is_overridden(type(member), method, drf.Field) and not any(hasattr(member, name) for name in instead):
            raise NotCompilable(f"{type(member).__name__}.{method}() computes in Python")
    if isinstance(member, drf.DecimalField) and not is_plain_decimal(member):
        raise NotCompilable("a decimal is written as a string with a fixed number of places")
    if isinstance(member, drf.DateTimeField) and not is_plain_time(member):
        raise NotCompilable("a time is written as RFC 3339 in UTC")
    if getattr(member, "pk_field", None) or getattr(member, "uuid_format", "hex_verbose") != "hex_verbose":
        raise NotCompilable("a key is written as its column holds it")


def is_plain_decimal(member: Any) -> bool:
    as_text = getattr(member, "coerce_to_string", api_settings.COERCE_DECIMAL_TO_STRING)
    return member.decimal_places is not None and as_text and not (member.localize or member.normalize_output)


def is_plain_time(member: Any) -> bool:
    return getattr(member, "format", api_settings.DATETIME_FORMAT) == ISO_8601 and "timezone" not in vars(member)


def is_overridden(kind: type[Any], method: str, base: type[Any]) -> bool:
    """Whether `kind`, a subclass of DRF's class `base`, has a `method` of its own."""
    return not getattr(kind, method, getattr(base, method)).__module__.startswith("rest_framework.")
