"""A model in, pieces of SQL for its table's triggers out.

The model may be a historical one of a migration: only its fields and its `Meta.logged` are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP

from catalog.changes.logged import Logged, find_logged
from config.api.database.schema_editors import FOLLOWED

# The two fields that count a row's changes. The triggers set them and ignore what a writer puts there.
VERSION, MOVED = "version", "updated_at"

# How a row of another table is joined.
JOIN = "LEFT JOIN {table} {alias} ON {there} = {here}"


@dataclass(frozen=True)
class LoggedTable:
    """A table with `Meta.logged`. `row` in the methods is the row's alias in the SQL: `NEW`, `o`."""

    model: type[Model]
    logged: Logged
    quote: Callable[[str], str]

    @classmethod
    def find(cls, model: type[Model], quote: Callable[[str], str]) -> LoggedTable | None:
        """The model's logged table, or None if the model isn't logged."""
        logged = find_logged(model)
        return None if logged is None else cls(model, logged, quote)

    @property
    def name(self) -> str:
        return self.model._meta.db_table

    @property
    def key(self) -> str:
        field: Any = self.model._meta.pk
        return self.quote(field.column)

    @property
    def fields(self) -> list[Any]:
        """Fields with a column, sorted: a migration's model has them in another order than today's model."""
        return sorted(self.model._meta.local_concrete_fields, key=lambda field: field.column)

    @property
    def is_versioned(self) -> bool:
        return {VERSION, MOVED} <= {field.name for field in self.fields}

    def list_values(self, row: str, *more: str) -> str:
        """The compared columns of the row, and the fields in `more`, as comma-separated SQL."""
        columns = [*self.list_compared(), *(self.model._meta.get_field(name) for name in more)]
        return ", ".join(f"{row}.{self.quote(field.column)}" for field in columns)

    def list_compared(self) -> list[Any]:
        """The fields whose change counts as a change of the row."""
        if self.logged.only:
            return [self.model._meta.get_field(name) for name in self.logged.only]
        silent = {self.model._meta.get_field(name) for name in self.logged.derived}
        own = {VERSION, MOVED} if self.is_versioned else set()
        # A generated column is computed from others, and has no value yet when a trigger runs.
        return [
            field
            for field in self.fields
            if not (field.primary_key or field.generated or field in silent or field.name in own)
        ]

    def name_trigger(self, what: str) -> str:
        return f"{FOLLOWED}{what}_{self.name}"

    # -- other tables

    def walk(self, path: str, row: str, join: str = JOIN) -> tuple[str, list[str]]:
        """The column at the end of `path` as SQL, and the JOINs that lead to it, each of the form `join`."""
        *hops, last = path.split(LOOKUP_SEP)
        model: Any = self.model
        joins = list[str]()
        for number, hop in enumerate(hops, start=1):
            link, alias = model._meta.get_field(hop), "_".join(("of", *hops[:number]))
            model = link.remote_field.model
            there, here = f"{alias}.{self.quote(link.target_field.column)}", f"{row}.{self.quote(link.column)}"
            joins.append(join.format(table=self.quote(model._meta.db_table), alias=alias, there=there, here=here))
            row = alias
        field = model._meta.pk if last == "pk" else model._meta.get_field(last)
        return f"{row}.{self.quote(field.column)}", joins

    def find_product(self, row: str) -> str:
        return self.walk(self.logged.product, row)[0] if self.logged.product else "NULL"

    def find_sku(self, row: str) -> str:
        # '' if a deleted variant took the row along: its SKU is gone too.
        return f"coalesce({self.walk(self.logged.sku, row)[0]}, '')" if self.logged.sku else "''"

    def join(self, row: str, join: str = JOIN) -> str:
        paths = [path for path in (self.logged.sku, self.logged.product) if path]
        return " ".join(dict.fromkeys(found for path in paths for found in self.walk(path, row, join)[1]))

    def find_touched(self) -> dict[str, str]:
        """Names for the SQL that touches the row which counts this row's changes: its table, key and the link."""
        link: Any = self.model._meta.get_field(self.logged.touches)
        names = {"other": link.remote_field.model._meta.db_table, "other_key": link.target_field.column}
        return {key: self.quote(name) for key, name in (names | {"link": link.column}).items()}

    def list_crossed(self) -> Iterator[type[Model]]:
        """The models of other tables that the triggers read or update."""
        for path in (self.logged.sku, self.logged.product, f"{self.logged.touches}{LOOKUP_SEP}"):
            model: Any = self.model
            for hop in filter(None, path.split(LOOKUP_SEP)[:-1]):
                model = model._meta.get_field(hop).remote_field.model
                yield model


def list_tables(models: Iterable[Any], quote: Callable[[str], str]) -> list[LoggedTable]:
    return [table for model in models if (table := LoggedTable.find(model, quote))]
