"""The JSON that the database makes is what DRF's serializer would have made: the oracle."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from rest_framework import serializers
from rest_framework.request import Request

from catalog.models import Brand, Category, Image, Product, ProductText, Stock, Variant
from catalog.serializers import BrandRead, CategoryRead, ImageRead, ProductRead, VariantRead
from config.api.reads.columns import NotCompilable
from config.api.reads.oracle import build_serializer, select_rows
from config.api.reads.projection import compile_projection, select_json
from config.api.reads.selections import build_selection, find_fields, list_expandable
from config.api.rendering.renderers import write_json
from config.api.schema.checks import check_projections
from tests.examples import share

# No NUL (neither database stores one) and no lone surrogate (it is no text).
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
HOSTILE = st.one_of(
    TEXTS, st.sampled_from(['"', "\\", "'", "%s", "%%", "\x01\x1f\x7f", "\u2028", "👩‍👩‍👧", "</script>", "{}"])
)
PRICES = st.decimals("0", "9999999999.99", places=2)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 (the zone is given beside them)
# jsonb keeps numbers as decimals, Python reads floats; whole numbers and halves are the same in both.
NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.integers(-1000, 1000).map(lambda number: number / 2))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, HOSTILE),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(HOSTILE, inner, max_size=3)),
    max_leaves=6,
)
OBJECTS = st.dictionaries(HOSTILE, VALUES, max_size=3)


@st.composite
def products(draw: st.DrawFn) -> dict[str, Any]:
    """Values of a product and of all that belongs to it."""
    return {
        "product": {
            "title": draw(HOSTILE),
            "status": draw(st.sampled_from(Product.Status.values)),
            "compare_at_price": draw(st.none() | PRICES),
            "rating": draw(st.decimals("0", "5", places=2)),
            "attributes": draw(OBJECTS),
            "created_at": draw(TIMES),
            "updated_at": draw(TIMES | st.just(datetime(2026, 1, 1, tzinfo=UTC))),
        },
        "brand": draw(st.none() | HOSTILE),
        "category": draw(st.none() | st.lists(HOSTILE, min_size=1, max_size=2)),
        "description": draw(HOSTILE),
        "variants": draw(st.lists(st.tuples(PRICES, OBJECTS), max_size=3)),
        "images": draw(st.lists(HOSTILE, max_size=23)),
    }


def save_product(values: dict[str, Any]) -> Product:
    brand = category = None
    if values["brand"] is not None:
        brand = Brand.objects.create(name=values["brand"], slug="b")
    for depth, name in enumerate(values["category"] or ()):
        category = Category.objects.create(name=name, slug=f"c{depth}", parent=category)
    product = Product.objects.create(sku="S", slug="s", brand=brand, category=category, **values["product"])
    ProductText.objects.create(product=product, description=values["description"])
    for number, (price, options) in enumerate(values["variants"]):
        variant = Variant.objects.create(product=product, sku=f"V{number}", price=price, options=options)
        Stock.objects.create(variant=variant, on_hand=number)
    for number, alt in enumerate(values["images"]):
        Image.objects.create(product=product, url=f"https://x.example/{number}", alt=alt, position=number % 7)
    return product


SERIALIZERS: list[type[serializers.ModelSerializer[Any]]] = [
    ProductRead,
    VariantRead,
    ImageRead,
    BrandRead,
    CategoryRead,
]


class Oracle(TestCase):
    @pytest.mark.slow
    @settings(max_examples=share(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(values=products(), data=st.data())
    def test_the_databases_json_is_the_serializers(self, values: dict[str, Any], data: st.DataObject) -> None:
        save_product(values)
        for serializer in SERIALIZERS:
            expand = data.draw(st.sets(st.sampled_from(list_expandable(serializer) or ("",))))
            fields = data.draw(st.sets(st.sampled_from(tuple(find_fields(serializer))), max_size=6))
            self.compare(serializer, frozenset(expand - {""}), frozenset(fields), data.draw(st.booleans()))

    def compare(self, serializer: Any, expand: frozenset[str], fields: frozenset[str], detail: bool) -> None:
        selection = build_selection(serializer, expand, detail, fields)
        rows = serializer.Meta.model._default_manager.order_by("pk")
        request = Request(RequestFactory().get("/"))
        shaped = build_serializer(
            serializer,
            selection,
            select_rows(rows, serializer, selection),
            many=True,
            context={"request": request},
        )
        expected = [orjson.loads(write_json(row)) for row in shaped.data]
        found = [orjson.loads(text) for (text,) in select_json(rows, serializer, selection, "http://testserver")]
        assert found == expected
        # Equal dicts may have another order of keys.
        assert [list(row) for row in found] == [list(row) for row in expected]


class Bare(serializers.ModelSerializer[Product]):
    shout = serializers.SerializerMethodField()

    class Meta:
        model = Product
        fields = ("id", "shout")

    def get_shout(self, product: Product) -> str:
        return product.title.upper()


@pytest.mark.both
def test_a_field_that_has_no_sql_is_named() -> None:
    with pytest.raises(NotCompilable, match=r"Bare\.shout: SerializerMethodField"):
        compile_projection(Bare, build_selection(Bare), connection.vendor)


def test_the_system_check_names_serializer_and_field(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test's view may still be there; makemigrations runs the checks of ours alone (test_architecture.py).
    before = check_projections()
    monkeypatch.setattr("catalog.views.small_lists.BrandViewSet.read_serializer", Bare)
    [error] = [error for error in check_projections() if error not in before]
    assert error.id == "tenfold.E006"
    assert "Bare.shout" in error.msg


@pytest.mark.django_db
def test_a_selection_is_compiled_once() -> None:
    selection = build_selection(ProductRead, frozenset({"brand"}))
    first = compile_projection(ProductRead, selection, connection.vendor)
    again = build_selection(ProductRead, frozenset({"brand"}))
    assert compile_projection(ProductRead, again, connection.vendor) is first
    assert compile_projection.cache_info().maxsize == 512
