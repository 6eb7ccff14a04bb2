"""An ordinary read serializer and a selection in, SQL out that makes each row's JSON text in the database.

Serializers are the cost of a list, not JSON: 50 rows with brand, category and images take DRF's serializers longer
than everything else together. So the class is compiled, once for each selection, to one SQL expression over the
row's table: columns, objects over foreign keys and lists over reverse relations as subselects, addresses as text.
Filters, ordering and pagination stay ordinary querysets. The text that comes back goes into the answer untouched, as
`orjson.Fragment`; shaping.py, DRF's own way, is the oracle that a property test holds it against.

What can't be compiled is a NotCompilable, which the system check at start turns into an error that names the
serializer and the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import Expression, F, Model, QuerySet, TextField
from django.urls import reverse
from rest_framework import serializers as drf
from rest_framework.fields import empty
from rest_framework.relations import HyperlinkedIdentityField, PrimaryKeyRelatedField, SlugRelatedField

from config.api.dialects import DIALECTS, Dialect
from config.api.selections import ReadSerializer, Selection, find_fields, find_model, find_nested

# A nested list shows its first rows, unless it says with `max_length` how many there can be; its URL, which stands
# beside it, has them all.
NESTED_ROWS = 20

# The name of the compiled column among a row's values.
COLUMN = "row_json"

# Stands for a row's key while an address is split into what is before and behind it.
KEY = "123456789012345678"


class NotCompilable(TypeError):
    """A field of a read serializer that has no SQL; the message names both."""


class RowJson(Expression):
    """`sql` over a row and the rows that it is joined with; `columns` maps each one's name in it to a column there."""

    def __init__(self, sql: str, columns: Mapping[str, str], parameters: Sequence[str]) -> None:
        super().__init__(output_field=TextField())
        self.sql, self.names, self.parameters = sql, tuple(columns), tuple(parameters)
        self.columns: list[Any] = [F(path) for path in columns.values()]

    def get_source_expressions(self) -> list[Any]:
        return self.columns

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self.columns = list(exprs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql = self.sql
        # Django has named the joins meanwhile.
        for name, column in zip(self.names, self.columns, strict=True):
            sql = sql.replace(name, compiler.quote_name(column.alias))
        return sql, self.parameters


@dataclass(frozen=True)
class Projection:
    """SQL for one row, with a %s for the beginning of each address in it."""

    sql: str
    columns: Mapping[str, str]
    paths: tuple[str, ...]

    def bind(self, origin: str) -> RowJson:
        """The expression for addresses at `origin` (`https://shop.example`, or nothing)."""
        return RowJson(self.sql, self.columns, [json.dumps(f"{origin}{path}")[:-1] for path in self.paths])


def select_json(
    rows: QuerySet[Any], serializer: ReadSerializer, selection: Selection, origin: str, beside: Sequence[str] = ()
) -> QuerySet[Any]:
    """`rows` as tuples of their JSON and of the columns `beside`."""
    projection = compile_projection(serializer, selection, connections[rows.db].vendor)
    return rows.annotate(**{COLUMN: projection.bind(origin)}).values_list(COLUMN, *beside)


# The selections that clients ask for are few; ones made up by the thousand push each other out.
@lru_cache(maxsize=512)
def compile_projection(serializer: ReadSerializer, selection: Selection, vendor: str) -> Projection:
    compiler = Compiler(DIALECTS[vendor])
    sql = compiler.write_object(serializer, selection, compiler.join("", find_model(serializer)))
    return Projection(sql, compiler.columns, tuple(compiler.paths))


def quote_name(name: Any) -> str:
    return f'"{name}"'


def quote_text(text: str) -> str:
    """A literal; percent signs are doubled, since the driver looks for placeholders."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


@dataclass
class Compiler:
    """Writes the SQL of one projection.

    `paths` collects the beginnings of its addresses, in their order; `joined` the way to each joined row, by the name
    that stands for its table until Django has one; `columns` a column there, which makes Django join it.
    """

    dialect: Dialect
    paths: list[str] = field(default_factory=list)
    joined: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    aliases: int = 0

    def write_constant(self, value: Any) -> str:
        return quote_text(json.dumps(value))

    def write_object(self, serializer: ReadSerializer, selection: Selection, table: str) -> str:
        """`{"id":…,"title":…}` of the row at hand in `table`."""
        parts, opening = [], "{"
        for name in selection.names:
            parts += [quote_text(f'{opening}"{name}":'), self.write_member(serializer, selection, name, table)]
            opening = ","
        return self.dialect.join([*parts, quote_text("}")]) if parts else quote_text("{}")

    def write_member(self, serializer: ReadSerializer, selection: Selection, name: str, table: str) -> str:
        member, model = find_fields(serializer)[name], find_model(serializer)
        below = selection.find(name)
        nested = find_nested(member)
        try:
            if isinstance(member, drf.ListSerializer) and nested and below:
                return self.write_list(model, member, nested, below, table)
            if nested and below:
                return self.write_related(model, member, table, lambda t: self.write_object(nested, below, t))
            if nested or isinstance(member, SlugRelatedField):
                slug = getattr(member, "slug_field", "slug")
                return self.write_related(model, member, table, lambda t: self.dialect.text(f"{t}.{quote_name(slug)}"))
            if isinstance(member, HyperlinkedIdentityField):
                return self.write_address(model, member, table)
            return self.write_value(model, member, table)
        except NotCompilable as reason:
            raise NotCompilable(f"{serializer.__name__}.{name}: {reason}") from None

    def join(self, path: str, model: type[Model]) -> str:
        """The name of the row of `model` at `path` from the row itself; one join, however often it is asked for."""
        for name, known in self.joined.items():
            if known == path:
                return name
        name = f'"@{len(self.joined)}"'
        self.joined[name] = path
        # Any but the key, which stands on the near side too.
        column = next(column.name for column in model._meta.concrete_fields if not column.primary_key)
        self.columns[name] = f"{path}__{column}" if path else column
        return name

    def write_related(self, model: type[Model], member: Any, table: str, write: Any) -> str:
        """What `write` makes of the row that a foreign key points at, or null."""
        key = find_column(model, member.source)
        if not key.many_to_one:
            raise NotCompilable(f"{member.source} is no foreign key")
        if table in self.joined:
            # A subselect would read a small table from end to end for each row: 1.37 ms a page, joined 0.82.
            alias = self.join(f"{self.joined[table]}__{key.name}".lstrip("_"), key.related_model)
            found = f"{alias}.{quote_name(key.related_model._meta.pk.column)} IS NOT NULL"
            return f"CASE WHEN {found} THEN {write(alias)} ELSE {self.write_constant(None)} END"
        return self.write_subselect(key, table, write)

    def write_subselect(self, key: Any, table: str, write: Any) -> str:
        """The same within a list, where Django joins nothing."""
        target, alias = key.related_model, self.name_alias()
        row = f"{alias}.{quote_name(target._meta.pk.column)} = {table}.{quote_name(key.column)}"
        found = f"SELECT {write(alias)} FROM {quote_name(target._meta.db_table)} {alias} WHERE {row}"
        return f"coalesce(({found}), {self.write_constant(None)})"

    def write_list(self, model: type[Model], member: Any, nested: ReadSerializer, below: Selection, table: str) -> str:
        """The first rows of a reverse relation, in their model's own order."""
        relation: Any = model._meta.get_field(member.source)
        target, alias = find_model(nested), self.name_alias()
        row = self.write_object(nested, below, alias)
        parent = f"{alias}.{quote_name(relation.field.column)} = {table}.{quote_name(model._meta.pk.column)}"
        order = ", ".join(write_order(target, alias))
        return self.dialect.list_rows(
            f"SELECT {row} AS json FROM {quote_name(target._meta.db_table)} {alias} WHERE {parent}"
            f" ORDER BY {order} LIMIT {find_limit(member)}"
        )

    def write_address(self, model: type[Model], member: HyperlinkedIdentityField, table: str) -> str:
        """An absolute address: its beginning is a parameter, since the host is the request's."""
        path = reverse(member.view_name, kwargs={member.lookup_url_kwarg: KEY})
        before, _, behind = path.partition(KEY)
        self.paths.append(before)
        column = find_column(model, member.lookup_field)
        value = self.dialect.number(f"{table}.{quote_name(column.column)}")
        return self.dialect.join([self.dialect.parameter, value, quote_text(self.end_text(behind))])

    def end_text(self, text: str) -> str:
        return f'{text}"'

    def write_value(self, model: type[Model], member: Any, table: str) -> str:
        """A column as JSON; over a 1:1 relation (`text.description`) as a subselect."""
        if member.source == "*":
            raise NotCompilable(f"{type(member).__name__} computes in Python; declare a database expression")
        relation, _, name = member.source.rpartition(".")
        if not relation:
            return self.write_column(model, member, table, name)
        link = find_column(model, relation)
        if not link.one_to_one or not link.auto_created:
            raise NotCompilable(f"{relation} is no reverse 1:1 relation")
        target, alias = link.related_model, self.name_alias()
        value = self.write_column(target, member, alias, name)
        row = f"{alias}.{quote_name(link.field.column)} = {table}.{quote_name(model._meta.pk.column)}"
        missing = self.write_constant(None if member.default is empty else member.default)
        return f"coalesce((SELECT {value} FROM {quote_name(target._meta.db_table)} {alias} WHERE {row}), {missing})"

    def write_column(self, model: type[Model], member: Any, table: str, name: str) -> str:
        column = find_column(model, name)
        sql = f"{table}.{quote_name(column.column)}"
        if expression := getattr(member, "database_expression", None):
            sql = expression.format(column=sql, table=table)
        value = self.write_kind(member, sql)
        # Not coalesce(): SQLite's printf() makes a zero of null.
        if not column.null and not expression:
            return value
        return f"CASE WHEN {sql} IS NULL THEN {self.write_constant(None)} ELSE {value} END"

    def write_kind(self, member: Any, sql: str) -> str:
        """By the serializer field's kind; the first that fits."""
        dialect = self.dialect
        if isinstance(member, drf.DecimalField):
            if member.decimal_places is None or getattr(member, "coerce_to_string", True) is False:
                raise NotCompilable("a decimal needs its places, and leaves as a string")
            return dialect.decimal(sql, member.decimal_places)
        for kinds, write in (
            ((drf.BooleanField,), dialect.flag),
            ((drf.IntegerField, PrimaryKeyRelatedField), dialect.number),
            ((drf.DateTimeField,), dialect.time),
            ((drf.CharField, drf.ChoiceField), dialect.text),
            ((drf.JSONField, drf.DictField), dialect.json),
        ):
            if isinstance(member, kinds):
                return write(sql)
        raise NotCompilable(f"{type(member).__name__} has no form in SQL yet")

    def name_alias(self) -> str:
        self.aliases += 1
        return f"t{self.aliases}"


def find_limit(member: Any) -> int:
    """How many rows of a nested list are shown."""
    return member.max_length or NESTED_ROWS


def find_column(model: type[Model], name: str) -> Any:
    try:
        return model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise NotCompilable(f"{model.__name__} has no column {name}") from error


def write_order(model: type[Model], alias: str) -> Iterator[str]:
    for name in model._meta.ordering or ("pk",):
        column = quote_name(find_column(model, str(name).lstrip("-")).column)
        yield f"{alias}.{column}{' DESC' if str(name).startswith('-') else ''}"
