"""What leaves whole, by stream or job: tables that apps register, each with its rows, shape, filters and right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.db.models import QuerySet
from django.http import QueryDict

from config.api.reads.filtering import SparseFilterSet
from config.api.reads.selections import ReadSerializer

type Caller = PermissionsMixin | AnonymousUser


def accept(rows: QuerySet[Any], parameters: QueryDict) -> None:
    """Nothing is wrong with any rows."""


@dataclass(frozen=True)
class Resource:
    """A table that leaves whole. `right` is the permission to export it, without which nothing of it is said."""

    name: str
    right: str
    # Which rows a caller sees, and in which shape.
    rows_for: Callable[[Any], QuerySet[Any]]
    shape: ReadSerializer
    # The shape for a caller without `full_right`, where it is another.
    public_shape: ReadSerializer | None = None
    full_right: str = ""
    filters: type[SparseFilterSet] = SparseFilterSet
    # Families of filters, like `attr.`.
    open_parameters: tuple[str, ...] = ()
    # Refuses, by ApiError, rows that couldn't leave whole.
    check_rows: Callable[[QuerySet[Any], QueryDict], None] = accept
    # Whether the change feed tells of its rows.
    is_followed: bool = False
    # Refuses, by an error of 410, an `after` behind which rows are gone; None where rows go like anywhere else.
    check_after: Callable[[int], None] | None = None

    def choose_shape(self, caller: Caller) -> ReadSerializer:
        return self.shape if self.public_shape is None or caller.has_perm(self.full_right) else self.public_shape


RESOURCES: dict[str, Resource] = {}


def register_resource(resource: Resource) -> None:
    """Addresses are made of it where the URLs are loaded, which is after each app's ready()."""
    RESOURCES[resource.name] = resource
