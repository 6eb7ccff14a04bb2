"""Filters of products with several values, their opposites and ranges; in lists, exports and jobs alike."""

from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.filters import ProductFilters
from catalog.models import Attribute, Brand, Product, Variant
from config.api.reads.filtering import join_values, narrow_rows, split_values
from config.api.reads.parameters import EMPTY_VALUE
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"

ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {"color": "Olive", "weight": 450, "organic": True},
    {"color": "Black, matt", "weight": 1.5},
    # Texts, of before the attributes were declared.
    {"color": "Black", "weight": "900", "organic": "true"},
    {},
)


@pytest.fixture
def shop(db: None) -> None:
    for name, type_ in (("color", "text"), ("weight", "number"), ("organic", "boolean"), ("size.min", "text")):
        Attribute.objects.create(name=name, type=type_)
    acme, zeta = make_brand("Acme"), make_brand("Zeta")
    tea, coffee, home = make_category("Food", "Tea"), make_category("Food", "Coffee"), make_category("Home")
    rows: Any = (
        {"sku": "A", "brand": acme, "category": tea, "rating": Decimal("4.50"), "compare_at_price": 12},
        {"sku": "B", "brand": zeta, "category": coffee, "currency": "EUR", "compare_at_price": 10},
        {"sku": "C", "brand": make_brand("Mono"), "category": home, "rating": Decimal("2.00")},
        {"sku": "D", "status": "draft"},
    )
    for row, attributes in zip(rows, ATTRIBUTES, strict=True):
        make_product(slug=f"s-{row['sku'].lower()}", attributes=attributes, **row)
    Variant.objects.filter(sku="B").update(barcode="4006381333931")
    Product.objects.filter(sku="A").update(attributes=ATTRIBUTES[0] | {"size.min": "S"})


FOUND = {
    "brand=acme,zeta": "AB",
    "brand=acme&brand=zeta": "AB",
    "brand=acme,zeta&category=home,food-tea": "A",
    "brand.not=acme": "BCD",
    "brand.not=acme,zeta&status.not=draft": "C",
    "category=food-tea,home": "AC",
    "category=food": "AB",
    "category.not=food": "CD",
    "category.not=food-tea,home": "BD",
    "status=active,draft": "ABCD",
    "status=draft": "D",
    "status.not=active": "D",
    "currency=EUR": "B",
    "currency=EUR,USD": "ABCD",
    "slug=s-a,s-c,s-x": "AC",
    "barcode=4006381333931,1": "B",
    "on_sale=true": "A",
    "on_sale=false": "BCD",
    "rating_min=4.5": "A",
    "rating_min=0": "ABCD",
    "updated_before=2000-01-01": "",
    "updated_before=2100-01-01": "ABCD",
    "attr.color=Olive,Black": "AC",
    "attr.color=Olive&attr.color=Black": "AC",
    r"attr.color=Black\, matt": "B",
    "attr.color.not=Olive": "BCD",
    r"attr.color.not=Olive,Black\, matt": "CD",
    "attr.weight.min=450": "A",
    "attr.weight.max=450": "AB",
    "attr.weight.min=1.5&attr.weight.max=449": "B",
    "attr.weight=450,1.50": "AB",
    "attr.organic=true": "A",
    "attr.organic.not=true": "BCD",
    "attr.size.min=S": "A",
    "attr.color=": "ABCD",
    "brand=&status=": "ABCD",
}


@pytest.mark.usefixtures("shop")
def test_values_of_one_name_are_joined_by_or_and_names_by_and(staff: APIClient) -> None:
    found = {query: find(staff, query) for query in FOUND}
    assert found == FOUND


def find(caller: APIClient, query: str) -> str:
    answer = caller.get(f"{URL}?{query}&fields=sku&ordering=id")
    assert answer.status_code == 200, (query, answer.json())
    return "".join(row["sku"] for row in answer.json()["results"])


REFUSED = {
    "brand=acmee": ("?brand", "There is no brand with the slug 'acmee'.", "Did you mean acme?"),
    "brand=ACME": ("?brand", "There is no brand with the slug 'ACME'.", "Did you mean acme?"),
    "category=Food > Tea": ("?category", "There is no category with the slug 'Food > Tea'.", "Did you mean food-tea?"),
    "brand=acme,nobody": ("?brand", "There is no brand with the slug 'nobody'.", "brands/ lists them all."),
    "brand.not=zetta": ("?brand.not", "There is no brand with the slug 'zetta'.", "Did you mean zeta?"),
    "category=food-te": ("?category", "There is no category with the slug 'food-te'.", "Did you mean food-tea?"),
    "category=,": ("?category", EMPTY_VALUE, ""),
    "id=,": ("?id", EMPTY_VALUE, ""),
    "attr.color=,": ("?attr.color", EMPTY_VALUE, ""),
    "brand=acme,,zeta": ("?brand", EMPTY_VALUE, ""),
    "sku=A,": ("?sku", EMPTY_VALUE, ""),
    "attr.color=Olive,,Black": ("?attr.color", EMPTY_VALUE, ""),
    "fields=id,,sku": ("?fields", EMPTY_VALUE, ""),
    "expand=,brand": ("?expand", EMPTY_VALUE, ""),
    "facets=brand,,price": ("?facets", EMPTY_VALUE, ""),
    "status=drafts": ("?status", "'drafts' is not one of active, draft, archived.", ""),
    f"slug={','.join('abcdefghijklmnopqrstuvwxyz' * 2)}": ("?slug", "It has 52 values; at most 50 are allowed.", ""),
    f"attr.color={','.join('abcdefghijklmnopqrstuvwxyz' * 2)}": (
        "?attr.color", "It has 52 values; at most 50 are allowed.", "",
    ),
    f"id={','.join(map(str, range(201)))}": ("?id", "It has 201 values; at most 200 are allowed.", ""),
    "attr.color.min=1": ("?attr.color.min", "The attribute is a text; .min and .max are for numbers.", ""),
    "attr.weight.min=1,2": ("?attr.weight.min", "It has 2 values.", "It takes one value."),
    "attr.weight.min=heavy": ("?attr.weight.min", "'heavy' is not a number.", ""),
    "attr.weight=450,heavy": ("?attr.weight", "'heavy' is not a number.", ""),
    "attr.organic=yes": ("?attr.organic", "'yes' is not true or false.", ""),
    "rating_min=6": ("?rating_min", "'6' is above 5; give 0 to 5.", ""),
    "rating_min=NaN": ("?rating_min", "'NaN' is not a number; write digits and a dot, as in 4.5.", ""),
    "rating_min=٣": ("?rating_min", "'٣' is not a number; write digits and a dot, as in 4.5.", ""),
    "rating_min=0_1": ("?rating_min", "'0_1' is not a number; write digits and a dot, as in 4.5.", ""),
    "rating_min=4&rating_min=5": ("?rating_min", "It is given more than once.", "It takes one value: give it once."),
    "attr.colour=x": (
        "?attr.colour", "attr.colour is not a parameter of this address.", "Did you mean attr.color?",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("shop")
def test_what_no_row_can_have_is_refused_by_name(staff: APIClient) -> None:
    assert {query: tell_refusal(staff, query) for query in REFUSED} == REFUSED


def tell_refusal(caller: APIClient, query: str) -> tuple[str, str, str]:
    answer = caller.get(f"{URL}?{query}")
    assert answer.status_code == 400, query
    problem = answer.json()
    fault = problem["errors"][0]
    return fault["pointer"], fault["detail"], problem["hint"] or ""


@pytest.mark.usefixtures("shop")
def test_a_rejected_slug_is_compared_with_few_others(client: APIClient) -> None:
    """However many brands there are, a typo costs two queries."""
    Brand.objects.bulk_create(Brand(slug=f"ac-{number}", name=f"Ac {number}") for number in range(300))
    answer = client.get(URL, {"brand": "acmee"})
    assert (answer.status_code, answer.json()["hint"]) == (400, "brands/ lists them all.")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), min_size=1)))
def test_any_values_come_back_from_their_text(values: list[str]) -> None:
    kept = [text for value in values if (text := value.strip())]
    assert split_values(join_values(kept)) == (kept or [""])


@pytest.mark.usefixtures("shop")
def test_streams_and_jobs_take_the_same_lists(staff: APIClient) -> None:
    lines = staff.get("/api/v1/exports/products.csv?brand=acme,zeta&fields=sku").getvalue().decode().split()
    assert lines[:3] == ["sku", "A", "B"]
    for brands in (["acme", "zeta"], "acme,zeta"):
        body = {"resource": "products", "format": "csv", "fields": "sku", "filters": {"brand": brands}}
        assert staff.post("/api/v1/exports/", body, format="json").status_code == 201, brands
    wrong = {"resource": "products", "format": "csv", "filters": {"brand": ["acme", "acmee"]}}
    answer = staff.post("/api/v1/exports/", wrong, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/filters/brand")


# -- any combination, against the same in Python ---------------------------------------------------------------------

VALUES: dict[str, list[str]] = {
    "brand": ["acme", "zeta", "mono"],
    "brand.not": ["acme", "zeta"],
    "category": ["food", "food-tea", "home"],
    "category.not": ["food-tea", "home"],
    "status": ["active", "draft"],
    "status.not": ["draft"],
    "currency": ["EUR", "USD"],
    "attr.color": ["Olive", "Black, matt", "Black"],
    "attr.color.not": ["Olive", "Black"],
    "attr.weight": ["450", "1.5"],
}
QUERIES = st.dictionaries(st.sampled_from(sorted(VALUES)), st.sets(st.integers(0, 2), min_size=1), max_size=4)


@pytest.mark.slow
@pytest.mark.usefixtures("shop")
def test_any_combination_finds_what_python_finds() -> None:
    products = list(Product.objects.select_related("brand", "category").order_by("pk"))

    @settings(deadline=None)  # the database's time
    @given(QUERIES)
    def compare(places: dict[str, set[int]]) -> None:
        asked = {
            name: [values[place % len(VALUES[name])] for place in sorted(chosen)]
            for name, chosen in places.items()
            if (values := VALUES[name])
        }
        query = QueryDict(mutable=True)
        query.update({name: join_values(values) for name, values in asked.items()})
        found = set(narrow_rows(ProductFilters, query, Product.objects.all()).values_list("sku", flat=True))
        assert found == {product.sku for product in products if matches(product, asked)}

    compare()


def matches(product: Product, asked: dict[str, list[str]]) -> bool:
    return all(
        has_one(product, name.removesuffix(".not"), values) != name.endswith(".not") for name, values in asked.items()
    )


def has_one(product: Product, name: str, values: list[str]) -> bool:
    match name:
        case "brand":
            return product.brand is not None and product.brand.slug in values
        case "category":
            own = product.category.slug if product.category else ""
            return any(own == slug or own.startswith(f"{slug}-") for slug in values)
        case "attr.color":
            return product.attributes.get("color") in values
        case "attr.weight":
            return product.attributes.get("weight") in [float(value) for value in values]
    return getattr(product, name) in values
