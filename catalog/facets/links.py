"""The facets of an answer in, links out by which a person narrows the list, and widens it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.http import QueryDict
from django.urls import reverse

from catalog.facets.asked import FIXED
from config.api.reads.filtering import join_values, read_list

# The words before a count, by its relation.
COUNT_WORDS = {"eq": "", "gte": "at least ", "approx": "about "}
# Facets whose filter takes one value, and the filter's parameter.
SINGLE = {"rating": "rating_min", "in_stock": "in_stock"}


class Link(NamedTuple):
    """A value of a facet. Its address has the list with this value, or without it if it is chosen."""

    label: str
    number: str
    url: str
    is_chosen: bool


class FacetLinks(NamedTuple):
    name: str
    links: list[Link]
    more: int


def link_facets(data: Any, query: QueryDict) -> dict[str, Any]:
    """`{"facets": […], "facets_url": "…"}` for the page of an answer; the address is of the same list with facets."""
    if not isinstance(data, Mapping) or not ({"facets", "results"} & data.keys()):
        return {}
    rest = query.copy()
    for name in ("page", "cursor"):
        rest.pop(name, None)
    facets = data.get("facets", {})
    rest["facets"] = ",".join(facets or FIXED)
    shown = [FacetLinks(name, list(link_values(name, facets[name], rest)), facets[name]["more"]) for name in facets]
    return {"facets": shown, "facets_url": "" if facets else build_address(rest)}


def link_values(facet: str, member: Mapping[str, Any], query: QueryDict) -> Iterator[Link]:
    for each in member.get("ranges", ()) or member.get("values", ()):
        choice, is_chosen = choose(facet, each, query)
        changed = query.copy()
        for name, value in choice.items():
            changed[name] = value
        label = f"{each['from']} to {each['to']}" if "from" in each else each["label"]
        number = f"{COUNT_WORDS[each['count_relation']]}{each['count']:,}"
        yield Link(label, number, build_address(changed), is_chosen)


def choose(facet: str, each: Mapping[str, Any], query: QueryDict) -> tuple[dict[str, str], bool]:
    """The parameters after a click on a value, and whether it is chosen now. An empty parameter chooses nothing."""
    if facet == "price":
        wanted = {"price_min": each["from"], "price_max": each["to"]}
    elif facet in SINGLE:
        wanted = {SINGLE[facet]: each["value"]}
    else:
        chosen = read_list(query, facet)
        is_chosen = each["value"] in chosen
        others = [value for value in chosen if value != each["value"]]
        return {facet: join_values(others if is_chosen else [*chosen, each["value"]])}, is_chosen
    is_chosen = all(query.get(name) == value for name, value in wanted.items())
    return (dict.fromkeys(wanted, "") if is_chosen else wanted), is_chosen


def build_address(query: QueryDict) -> str:
    given = query.copy()
    for name in [name for name in given if not any(given.getlist(name))]:
        del given[name]
    return f"{reverse('product-list')}?{given.urlencode()}"
