"""A request's parameters in, a plan out that counts the values of its facets in one statement.

Each facet is counted without its own filter, so that a client can show the other values that may be chosen beside it.
Facets whose own filters aren't used are counted among the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from time import perf_counter
from typing import Any

from django.http import QueryDict

from catalog.facets.asked import read_facet_size, read_facets
from catalog.facets.kinds import Facet, PriceFacet
from catalog.facets.statements import FacetStatement, Found, Source
from catalog.filters import ProductFilters, find_subtrees
from catalog.models import Product
from catalog.querysets import ProductQuerySet
from catalog.tallies.reading import WHOLE_SCOPE
from config.api.reads.beside import find_beside
from config.api.reads.conditional import make_etag
from config.api.reads.filtering import narrow_rows, read_list
from config.api.reads.list_plans import Envelope, PagePlan
from config.api.reads.plans import Reply
from config.api.rendering.renderers import write_json

type Facets = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class FacetPlan:
    """`facets` are in the order in which they are shown; `size` is the most values of each.

    `beside` are the further members of an answer: what a search was corrected to.
    """

    facets: list[Facet]
    size: int
    statement: FacetStatement
    beside: Mapping[str, Any]

    def read(self) -> Facets:
        """`{"brand": {"values": […], "more": 0}, "price": {"min": "2.90", …}, …}`"""
        found = self.statement.fetch()
        return {facet.name: self.show(facet, found) for facet in self.facets}

    def show(self, facet: Facet, found: Found) -> dict[str, Any]:
        shown = facet.show(found.values[facet.name], found.sets[facet.name], self.size)
        if not isinstance(facet, PriceFacet):
            return shown
        low, high = (None if end is None else f"{Decimal(end):.2f}" for end in found.ends)
        return {"min": low, "max": high, **shown}

    def reply(self, value: object = None) -> Reply:
        facets, began = self.read(), perf_counter()
        body = write_json({"facets": facets, **self.beside})
        return Reply(body, {"ETag": make_etag(body)}, perf_counter() - began)


@dataclass(frozen=True)
class FacetedPlan(PagePlan):
    """A page of a list, with the member `facets` beside `results`. It takes one statement more than the page."""

    page: PagePlan
    facets: FacetPlan

    def read(self, cursor: str | None) -> Envelope:
        envelope = self.page.read(cursor)
        return replace(envelope, beside={**envelope.beside, "facets": self.facets.read()})


def plan_facets(query: QueryDict, rows: ProductQuerySet, sees_all: bool, are_all: bool = False) -> FacetPlan | None:
    """The plan for the facets that the request asks for; None if it asks for none.

    `rows` are those that the caller sees, not only active ones if `sees_all`. `are_all`: if it names none, all facets.
    """
    size = read_facet_size(query)
    # All filters are checked, also those that no facet uses.
    everything = narrow_rows(ProductFilters, query, rows)
    asked = read_facets(query, are_all)
    if not asked:
        return None
    filters = frozenset(name for name in ProductFilters.find_names(query) if query.get(name))
    tallied = Tallied.of(query, filters, sees_all)
    sets = dict[frozenset[str], Source]()
    for facet in asked:
        own = filters & set(facet.own)
        if own not in sets:
            narrowed = narrow_rows(ProductFilters, leave_out(query, own), rows) if own else everything
            sets[own] = Source(narrowed, [])
        sets[own].facets.append(replace(facet, scope=tallied.find_scope(facet, own)))
    statement = FacetStatement.compile(list(sets.values()), rows, size)
    return FacetPlan(asked, size, statement, find_beside(everything))


@dataclass(frozen=True)
class Tallied:
    """Which sets of rows tallies count: active products, all of them or those of categories.

    `filters` are those of the request, without a `status=active` that changes nothing.
    """

    filters: frozenset[str]
    is_active: bool
    categories: tuple[int, ...]

    @classmethod
    def of(cls, query: QueryDict, filters: frozenset[str], sees_all: bool) -> Tallied:
        is_chosen = read_list(query, "status") == [Product.Status.ACTIVE]
        subtrees = find_subtrees("category", read_list(query, "category")) if "category" in filters else ()
        return cls(filters - {"status"} if is_chosen else filters, is_chosen or not sees_all, tuple(subtrees))

    def find_scope(self, facet: Facet, own: frozenset[str]) -> tuple[int, ...]:
        """The facet's scope; () if its rows are others."""
        left = self.filters - own
        if not (self.is_active and facet.is_in_tallies and left <= {"category"}):
            return ()
        return self.categories if left else WHOLE_SCOPE


def leave_out(query: QueryDict, names: frozenset[str]) -> QueryDict:
    rest = query.copy()
    for name in names:
        del rest[name]
    return rest
