"""`facets` and `facet_size` in, the facets that a request asks for out. A facet that isn't known is a 400."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from django.http import QueryDict

from catalog.attributes import LOOKUPS, PREFIX, list_texts
from catalog.facets.kinds import (
    AttributeFacet,
    BrandFacet,
    CategoryFacet,
    Facet,
    NumberFacet,
    PriceFacet,
    RatingFacet,
    StockFacet,
    write_number,
)
from catalog.models import Attribute, Brand, Category
from catalog.writes.texts import compose
from config.api.problems.errors import InvalidParameter
from config.api.problems.near import suggest
from config.api.reads.filtering import read_list
from config.api.reads.parameters import read_names, read_number

PARAMETERS = ("facets", "facet_size")
FIXED = ("brand", "category", "price", "rating", "in_stock")
# Each facet is one more pass over the rows.
MOST_FACETS = 20
FACET_SIZE, GREATEST_FACET_SIZE = 20, 200


def read_facet_size(query: QueryDict) -> int:
    return read_number(query, "facet_size", FACET_SIZE, 1, GREATEST_FACET_SIZE)


def read_facets(query: QueryDict, are_all: bool) -> list[Facet]:
    """The facets that `facets` names, each once. Without the parameter none, or MOST_FACETS of all if `are_all`.

    Queries: the declared attributes, and the names of the chosen brands and categories.
    """
    names = list(dict.fromkeys(read_names(query, "facets")))
    if not names and not are_all:
        return []
    types = read_types() if not names or any(name not in FIXED for name in names) else {}
    known = (*FIXED, *(f"{PREFIX}{name}" for name in types))
    if unknown := [name for name in names if name not in known]:
        raise InvalidParameter("facets", f"{unknown[0][:100]!r} is not a facet.", suggest(unknown[0], known))
    if len(names) > MOST_FACETS:
        raise InvalidParameter("facets", f"It names {len(names)} facets; at most {MOST_FACETS} are allowed.")
    return [make_facet(name, query, types) for name in names or known[:MOST_FACETS]]


def read_types() -> Mapping[str, str]:
    return dict(Attribute.objects.order_by("name").values_list("name", "type"))


def make_facet(name: str, query: QueryDict, types: Mapping[str, str]) -> Facet:
    """The facet with the values that the request has chosen of it. The filters have checked them."""
    match name:
        case "brand":
            return BrandFacet(name, read_labels(Brand, read_list(query, name)))
        case "category":
            return CategoryFacet(name, read_labels(Category, read_list(query, name)))
        case "price":
            return PriceFacet(name)
        case "rating":
            return RatingFacet(name, label_numbers(filter(None, [query.get("rating_min")])))
        case "in_stock":
            return StockFacet(name, dict.fromkeys(filter(None, [query.get(name)]), ""))
    return make_attribute(name, list_texts(query, name) if name in query else [], types)


def make_attribute(name: str, chosen: Sequence[str], types: Mapping[str, str]) -> AttributeFacet:
    type_ = types[name.removeprefix(PREFIX)]
    if type_ != Attribute.Type.NUMBER:
        return AttributeFacet(name, dict.fromkeys(chosen, ""), type=type_)
    # An attribute whose own name ends in .min is another one.
    bounds = [f"{name}{ending}" for ending in LOOKUPS if f"{name}{ending}".removeprefix(PREFIX) not in types]
    return NumberFacet(name, label_numbers(chosen), type=type_, bounds=tuple(bounds))


def read_labels(model: type[Brand | Category], slugs: Sequence[str]) -> Mapping[str, str]:
    wanted = [compose(slug) for slug in slugs]
    return dict(model.objects.filter(slug__in=wanted).values_list("slug", "name")) if wanted else {}


def label_numbers(texts: Iterable[str]) -> Mapping[str, str]:
    return {write_number(Decimal(text)): "" for text in texts}
