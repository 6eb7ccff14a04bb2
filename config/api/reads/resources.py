"""Tables that can be exported, by stream or job. Apps register each with its rows, shape, filters and permission."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from config.api.access.permissions import Caller
from config.api.reads.filtering import SparseFilterSet
from config.api.reads.selections import ReadSerializer, find_model


def accept(rows: QuerySet[Any], parameters: QueryDict) -> None:
    """Allow any rows; the default of `Resource.check_rows`."""


# The formats of exports that every table has.
TABLE_FORMATS = ("csv", "ndjson", "parquet", "xlsx")


@dataclass(frozen=True)
class Resource:
    """A table that can be exported. `right` is the permission that a caller needs."""

    name: str
    right: str
    # The serializer that shapes the rows.
    shape: ReadSerializer
    # The serializer for callers without the permission `full_right`; None if all callers get `shape`.
    public_shape: ReadSerializer | None = None
    full_right: str = ""
    # The serializer of a row whose cells have no objects (CSV, Parquet, XLSX); None if it is the same.
    flat_shape: ReadSerializer | None = None
    # The rows that a caller may see. None means the manager's `visible_to(caller)`, or all rows if there is none.
    rows_for: Callable[[Caller], QuerySet[Any]] | None = None
    filters: type[SparseFilterSet] = SparseFilterSet
    # Prefixes of filters whose names aren't known in advance, such as `attr.`.
    open_parameters: tuple[str, ...] = ()
    # Raises an ApiError if the rows can't be exported whole.
    check_rows: Callable[[QuerySet[Any], QueryDict], None] = accept
    # The formats of its exports.
    formats: tuple[str, ...] = TABLE_FORMATS
    # What descriptions call it, if that isn't its name: "All {noun} as NDJSON".
    noun: str = ""
    # Given a database's alias, the objects that NDJSON has before the rows.
    read_head: Callable[[str], Iterable[dict[str, Any]]] | None = None
    # A line of NDJSON as the database writes it in, as the file has it out.
    finish_line: Callable[[bytes], bytes] | None = None
    # Whether the change feed has the changes of its rows.
    is_followed: bool = False
    # Raises an error with status 410 if rows after `after` were purged. None means that rows are never purged.
    check_after: Callable[[int], None] | None = None

    def select_rows(self, caller: Caller) -> QuerySet[Any]:
        if self.rows_for:
            return self.rows_for(caller)
        rows: Any = find_model(self.shape)._default_manager.all()
        return rows.visible_to(caller) if hasattr(rows, "visible_to") else rows

    def choose_shape(self, caller: Caller, *, is_flat: bool) -> ReadSerializer:
        if self.public_shape and not caller.has_perm(self.full_right):
            return self.public_shape
        return self.find_shape(is_flat=is_flat)

    def find_shape(self, *, is_flat: bool) -> ReadSerializer:
        """The shape for callers with all permissions."""
        return (self.flat_shape if is_flat else None) or self.shape


RESOURCES: dict[str, Resource] = {}


def register_resource(resource: Resource) -> None:
    """Add a resource. Call it in an app's ready(): the addresses of exports are made after it, with the URLs."""
    RESOURCES[resource.name] = resource
