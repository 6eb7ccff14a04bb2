"""Merging brands or categories in the admin: an edit that gives their products to one of them, then deletes the others.

`merge/` of the API moves the last few products and the categories below, and refuses what it always refuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from catalog.edits.kinds import ColumnEdit
from catalog.models import Brand, Category, Product
from catalog.writes.small_lists import merge_row, refuse_merge
from config.api.jobs.models import JobFailure

MERGE = "merge"
TABLES: Mapping[str, Any] = {"brand": Brand, "category": Category}


@dataclass(frozen=True)
class MergeEdit(ColumnEdit):
    """Gives the products of the `merged` rows of `table` to the row `value`. `merged` has their names by key."""

    table: str
    merged: Mapping[int, str]

    def list_rights(self) -> tuple[str, ...]:
        return list_rights(self.table)

    def choose(self) -> QuerySet[Product]:
        self.find_into()
        return Product.objects.filter(**{f"{self.column}__in": self.merged})

    def end(self) -> None:
        """In the caller's transaction. A row that is gone has been merged or deleted by somebody else."""
        into = self.find_into()
        for row in TABLES[self.table].objects.filter(pk__in=self.merged).order_by("pk"):
            while not merge_row(row, into.slug)["done"]:
                pass

    def find_into(self) -> Any:
        if found := TABLES[self.table].objects.filter(pk=self.value).first():
            return found
        raise JobFailure(f"Somebody deleted {self.text} meanwhile; choose another {self.table}.")

    def refuse(self) -> None:
        """Raise an ApiError if the rows can't be merged."""
        into = self.find_into()
        for row in TABLES[self.table].objects.filter(pk__in=self.merged):
            refuse_merge(row, into)

    def describe(self) -> str:
        return f"Merge {self.tell_merged()} into {self.text}"

    def tell_merged(self) -> str:
        return ", ".join(self.merged.values())


def list_rights(table: str) -> tuple[str, ...]:
    """The permissions of `merge/` in the API."""
    return f"catalog.change_{table}", f"catalog.delete_{table}", "catalog.change_product"


def write_merge(into: Any, merged: Sequence[Any]) -> dict[str, Any]:
    """The values of a job, which tell of the merged rows when they are gone."""
    names = {str(row.pk): name_row(row) for row in merged}
    return {"edit": MERGE, "table": into._meta.model_name, "into": into.pk, "name": name_row(into), "merged": names}


def name_row(row: Any) -> str:
    return str(getattr(row, "breadcrumb", "") or row)


def read_merge(given: Mapping[str, Any]) -> MergeEdit:
    into, merged = given["into"], {int(key): name for key, name in given["merged"].items()}
    names = {into: given["name"], **merged}
    return MergeEdit(f"{given['table']}_id", into, given["name"], names, given["table"], merged)
