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
from catalog.facets.counts import RowSet
from catalog.facets.kinds import Facet, LinkFacet, PriceFacet
from catalog.facets.statements import FacetStatement, Found, Source
from catalog.filters import ForgivingFilters
from catalog.querysets import ProductQuerySet
from config.api.reads.beside import find_beside
from config.api.reads.conditional import make_etag
from config.api.reads.filtering import narrow_rows
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
        rows = RowSet() if facet.is_tallied else found.sets[facet.name]
        shown = facet.show(found.values[facet.name], rows, self.size)
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
    everything = narrow_rows(ForgivingFilters, query, rows)
    asked = read_facets(query, are_all)
    if not asked:
        return None
    filters = {name for name in ForgivingFilters.find_names(query) if query.get(name)}
    sets = dict[frozenset[str], Source]()
    facets = []
    for facet in asked:
        own = frozenset(filters & set(facet.own))
        narrowed = narrow_rows(ForgivingFilters, leave_out(query, own), rows) if own else everything
        is_tallied = isinstance(facet, LinkFacet) and not (sees_all or filters - own)
        facets.append(replace(facet, is_tallied=is_tallied))
        sets.setdefault(own, Source(narrowed, [])).facets.append(facets[-1])
    return FacetPlan(facets, size, FacetStatement.compile(list(sets.values()), size), find_beside(everything))


def leave_out(query: QueryDict, names: frozenset[str]) -> QueryDict:
    rest = query.copy()
    for name in names:
        del rest[name]
    return rest
