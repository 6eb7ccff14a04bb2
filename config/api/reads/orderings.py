"""Finds the columns of a queryset's order. Cursors hold their values, and nested lists are sorted by them.

An order consists of terms that `order_by()` and `Meta.ordering` accept: `"price"`, `"-price"`, `F("price")` or
`F("price").desc()`. A term names a column of the row, or of a row that a foreign key refers to (`"brand__name"`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Field, Model, OrderBy, QuerySet


class NotByColumns(ValueError):
    """A cursor can't hold an order, or a term of it, since it isn't a column. The message is a noun for the term."""


@dataclass(frozen=True)
class SortColumn:
    """The column of a term. `path` is its name for a queryset: `price`, `brand__name`, `product_id`.

    `fields` are the foreign keys on the way to the column, and the column itself as the last one.
    """

    path: str
    fields: tuple[Field[Any, Any], ...]
    descending: bool

    @property
    def field(self) -> Field[Any, Any]:
        return self.fields[-1]

    @property
    def may_be_null(self) -> bool:
        return any(field.null for field in self.fields)


# Each call takes 10 microseconds, and planning a list makes three.
@lru_cache(maxsize=1024)
def find_sort_column(model: type[Model], term: Any) -> SortColumn:
    """The column that `term` names. NotByColumns if it isn't a column, or if it stands for another table's order."""
    name = read_name(term)
    fields: list[Any] = []
    for step in name.split("__"):
        fields.append(find_step(model, step, name))
        model = fields[-1].related_model or model
    column = fields[-1]
    if column.is_relation and step not in ("pk", column.attname) and model._meta.ordering:
        raise NotByColumns(f"{name} (the order of {model.__name__})")
    path = "__".join([*(field.name for field in fields[:-1]), column.attname])
    return SortColumn(path, tuple(fields), is_descending(term))


def read_name(term: Any) -> str:
    if isinstance(term, str):
        return term.removeprefix("-")
    if isinstance(term, OrderBy) and not (term.nulls_first or term.nulls_last):
        term = term.expression
    if isinstance(term, F):
        return str(term.name)  # type: ignore[attr-defined]  # django-stubs doesn't know it
    raise NotByColumns(str(term))


def is_descending(term: Any) -> bool:
    return term.startswith("-") if isinstance(term, str) else bool(getattr(term, "descending", False))


def find_step(model: type[Model], step: str, name: str) -> Any:
    """The column or foreign key of `model` with the name `step`."""
    try:
        field: Any = model._meta.pk if step == "pk" else model._meta.get_field(step)
    except FieldDoesNotExist:
        field = None
    if not getattr(field, "concrete", False):
        raise NotByColumns(name)
    return field


# -- lists -------------------------------------------------------------------------------------------------------


def read_terms(rows: QuerySet[Any]) -> Sequence[Any]:
    """The terms that order `rows`: those of `order_by()`, or else those of the model's Meta."""
    query = rows.query
    return query.order_by or (query.get_meta().ordering if query.default_ordering else ()) or ()


def order_totally[M: Model](rows: QuerySet[M]) -> QuerySet[M]:
    """`rows` in the same order. If two rows may be equal in it, the primary key is appended."""
    terms = read_terms(rows)
    if not rows.totally_ordered:
        return rows.order_by(*terms, write_key(terms))
    return rows if rows.query.order_by else rows.order_by(*terms)


def write_key(terms: Sequence[Any]) -> str:
    """The primary key as a term, in the direction of the last of `terms`, since a cursor needs one direction."""
    return "-pk" if terms and is_descending(terms[-1]) else "pk"


@dataclass(frozen=True)
class Keyset:
    """The columns that order a list, with the primary key as the last one, and their common direction."""

    names: tuple[str, ...]
    descending: bool

    @classmethod
    def of(cls, rows: QuerySet[Any]) -> Keyset:
        """The keyset of ordered rows. NotByColumns if no cursor can hold a place in their order."""
        columns = [find_list_column(rows, term) for term in read_terms(rows)]
        directions = {column.descending for column in columns}
        if len(directions) != 1 or not rows.query.standard_ordering:
            raise NotByColumns(f"{', '.join(column.path for column in columns)} (in more than one direction)")
        return cls(tuple(column.path for column in columns), directions.pop())

    def order(self, backward: bool) -> list[str]:
        return [f"-{name}" if self.descending != backward else name for name in self.names]

    def find_fields(self, model: type[Model]) -> list[Any]:
        return [find_sort_column(model, name).field for name in self.names]

    def read(self, row: Model) -> tuple[Any, ...]:
        """The values that a cursor at `row` holds."""
        return tuple(attrgetter(name.replace("__", "."))(row) for name in self.names)


def find_list_column(rows: QuerySet[Any], term: Any) -> SortColumn:
    if (name := read_name(term)) in rows.query.annotations:
        raise NotByColumns(name)  # such as a search's rank
    column = find_sort_column(rows.model, term)  # type: ignore[arg-type]  # classes are hashable
    if column.may_be_null:
        raise NotByColumns(f"{name} (may be null)")  # a comparison with NULL is never true
    return column


def find_keyset(rows: QuerySet[Any]) -> Keyset | None:
    """The keyset of `rows`; None if no cursor can hold a place in their order."""
    try:
        return Keyset.of(rows)
    except NotByColumns:
        return None


# -- nested lists ------------------------------------------------------------------------------------------------


def order_nested(model: type[Model], parent: Field[Any, Any]) -> tuple[Any, ...]:
    """The terms that order the rows of one `parent`: the model's own, and the primary key if two rows may be equal."""
    terms = tuple(model._meta.ordering or ())
    is_total = QuerySet(model).order_by(parent.attname, *terms).totally_ordered
    return terms if is_total else (*terms, write_key(terms))
