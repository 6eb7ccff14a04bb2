"""Each price of a variant with its time, and the lowest price of 30 days, whoever writes."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.models import Product, Variant
from catalog.prices.filling import fill_prices
from catalog.prices.models import ProductPrice, VariantPrice
from catalog.prices.triggers import create_triggers
from tests.factories import make_product

# Prices within one transaction count as one, so each write needs its own.
pytestmark = pytest.mark.django_db(transaction=True)

HISTORY = "/api/v1/prices/history/"
DAY = timedelta(days=1)


def make(price: str = "10.00", **fields: Any) -> Product:
    with transaction.atomic():
        return make_product(price=price, **({"compare_at_price": Decimal(20)} | fields))


def set_price(product: Product, price: Any, number: int = 0) -> None:
    variant = product.variants.order_by("pk")[number]
    Variant.objects.filter(pk=variant.pk).update(price=Decimal(price))


def age(days: float) -> None:
    """Let time go by: everything was so many days earlier."""
    for model in (VariantPrice, ProductPrice):
        model.objects.update(since=F("since") - timedelta(days=days))


def read_lowest(product: Product) -> Decimal | None:
    return Product.objects.values_list("lowest_price_30_days", flat=True).get(pk=product.pk)


def list_prices(product: Product) -> list[str]:
    prices = VariantPrice.objects.filter(variant_id__in=product.variants.values("pk")).order_by("variant_id", "id")
    return [str(price) for price in prices.values_list("price", flat=True)]


def test_the_lowest_price_is_of_the_30_days_before_the_present_one_began() -> None:
    product = make("10.00")
    assert read_lowest(product) is None, "there was no earlier price"
    age(40)
    set_price(product, 8)
    assert read_lowest(product) == 10
    age(29)
    set_price(product, 9)
    assert read_lowest(product) == 8
    age(31)
    set_price(product, 12)
    assert read_lowest(product) == 9, "8 ended before the 30 days"
    age(400)
    assert read_lowest(product) == 9, "only a write changes it"


def test_it_is_null_without_a_compare_at_price_and_comes_with_it() -> None:
    product = make(compare_at_price=None)
    set_price(product, 8)
    assert read_lowest(product) is None
    version = Product.objects.get(pk=product.pk).version
    Product.objects.filter(pk=product.pk).update(compare_at_price=15)
    assert read_lowest(product) == 10
    assert Product.objects.get(pk=product.pk).version == version + 1
    Product.objects.filter(pk=product.pk).update(compare_at_price=None)
    assert read_lowest(product) is None


def test_nobody_else_sets_it() -> None:
    product = make(lowest_price_30_days=Decimal(1))
    assert read_lowest(product) is None
    version = Product.objects.get(pk=product.pk).version
    Product.objects.filter(pk=product.pk).update(lowest_price_30_days=3)
    assert read_lowest(product) is None
    assert Product.objects.get(pk=product.pk).version == version


def test_a_price_that_its_own_transaction_replaces_was_never_in_force() -> None:
    product = make("10.00", variants=2)
    with transaction.atomic():
        set_price(product, 1)
        with transaction.atomic():
            set_price(product, 2)
        set_price(product, 7)
    assert (list_prices(product), read_lowest(product)) == (["10.00", "7.00", "10.00"], 10)
    with transaction.atomic():
        set_price(product, 1)
        set_price(product, 7)
    assert (list_prices(product), read_lowest(product)) == (["10.00", "7.00", "10.00"], 10)
    assert ProductPrice.objects.filter(product_id=product.pk).count() == 2


def test_the_cheapest_variant_is_what_counts() -> None:
    product = make("10.00", variants=2)
    set_price(product, 12, number=1)
    assert ProductPrice.objects.filter(product_id=product.pk).count() == 1, "the product still costs 10"
    set_price(product, 11)
    assert read_lowest(product) == 10
    product.variants.order_by("pk")[0].delete()
    product.refresh_from_db()
    assert (product.price, read_lowest(product)) == (12, 10), "11 ended too: the lowest is still 10"
    assert list_prices(product) == ["10.00", "12.00"], "the deleted variant's history went with it"


def test_a_price_in_another_currency_is_another_price() -> None:
    product = make("10.00", currency="EUR")
    Product.objects.filter(pk=product.pk).update(currency="USD")
    assert read_lowest(product) is None
    set_price(product, 9)
    assert read_lowest(product) == 10
    Product.objects.filter(pk=product.pk).update(currency="EUR")
    assert read_lowest(product) == 10, "of the euro prices"
    told = VariantPrice.objects.order_by("id").values_list("price", "currency")
    assert [(int(price), code) for price, code in told] == [(10, "EUR"), (10, "USD"), (9, "USD"), (9, "EUR")]


def test_a_clock_that_goes_back_loses_no_price() -> None:
    product = make("10.00")
    age(-5)  # a clock five days ahead
    set_price(product, 4)
    set_price(product, 6)
    assert read_lowest(product) == 4
    moments = list(VariantPrice.objects.order_by("id").values_list("since", flat=True))
    assert moments == sorted(moments)


@pytest.mark.slow
def test_variants_that_come_before_their_product_have_a_history_too() -> None:
    with transaction.atomic():
        Variant.objects.bulk_create([Variant(product_id=990_001, sku="EARLY", price=5)])
        Product.objects.bulk_create([Product(pk=990_001, sku="EARLY", slug="early", title="Early", price=5)])
    call_command("seed", products=3, json=True)
    assert VariantPrice.objects.count() == Variant.objects.count()
    assert ProductPrice.objects.count() == Product.objects.count() == 4


def test_products_of_before_the_migration_begin_with_their_price_of_then() -> None:
    first, second = make("10.00", variants=2), make("5.00")
    VariantPrice.objects.all().delete()
    ProductPrice.objects.all().delete()
    if connection.vendor == "postgresql":  # on SQLite nobody writes while the migration fills
        set_moment(timezone.now())
        set_price(second, 6)
        assert (list_prices(second), read_lowest(second)) == (["5.00", "6.00"], 5)
        set_moment(datetime(2020, 1, 1, tzinfo=timezone.get_default_timezone()))
    fill_prices(connection, size=1)
    assert list_prices(first) == ["10.00", "10.00"]
    assert ProductPrice.objects.filter(product_id=first.pk).count() == 1
    assert fill_prices(connection) == 0


def set_moment(moment: datetime) -> None:
    with connection.cursor() as cursor, connection.schema_editor() as editor:
        for table in ("variant", "product"):
            for event in ("update", "insert", "delete", "truncate", "before"):
                cursor.execute(f"DROP TRIGGER IF EXISTS record_price_{event} ON catalog_{table}")
        create_triggers(editor, moment.isoformat())


PRICES = st.sampled_from(["0", "1.5", "3", "7.25", "40"])
STEPS = st.lists(st.tuples(st.sampled_from([0, 3, 12, 29.5, 31, 100]), st.lists(PRICES, min_size=1, max_size=3)))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(steps=STEPS, first=PRICES)
def test_the_lowest_price_equals_a_replay_of_the_history(steps: list[Any], first: str) -> None:
    product = make(first)
    told = [(timezone.now(), Decimal(first))]
    for days, prices in steps:
        age(days)
        told = [(since - timedelta(days=days), price) for since, price in told]
        with transaction.atomic():
            for price in prices:
                set_price(product, price)
        if Decimal(prices[-1]) != told[-1][1]:
            told.append((timezone.now(), Decimal(prices[-1])))
        assert read_lowest(product) == replay(told)
    assert [Decimal(price) for price in list_prices(product)] == [price for _, price in told]


def replay(told: list[tuple[datetime, Decimal]]) -> Decimal | None:
    begin = told[-1][0] - 30 * DAY
    ends = [since for since, _ in told[1:]]
    return min((price for (_, price), end in zip(told, ends, strict=False) if end > begin), default=None)


def test_the_history_has_pages_and_shows_what_the_caller_may_see(client: APIClient, staff: APIClient) -> None:
    product = make("10.00", sku="A.1/B")
    for price in (9, 8, 7):
        set_price(product, price)
    page = client.get(HISTORY, {"sku": "A.1/B", "page_size": 3}).json()
    assert [row["price"] for row in page["results"]] == ["7.00", "8.00", "9.00"]
    assert set(page["results"][0]) == {"price", "currency", "since"}
    assert [row["price"] for row in client.get(page["next"]).json()["results"]] == ["10.00"]
    assert client.get(HISTORY, {"sku": "A.1/B", "ordering": "since"}).json()["results"][0]["price"] == "10.00"
    set_price(product, 6)
    assert client.get(HISTORY, {"sku": "A.1/B", "page_size": 3}).json()["results"][0]["price"] == "6.00"
    shown = client.get(f"/api/v1/products/{product.pk}/?fields=price,lowest_price_30_days").json()
    assert shown == {"price": "6.00", "lowest_price_30_days": "7.00"}
    Product.objects.filter(pk=product.pk).update(status="draft")
    assert client.get(HISTORY, {"sku": "A.1/B"}).status_code == 404
    assert staff.get(HISTORY, {"sku": "A.1/B"}).status_code == 200


def test_the_history_is_of_one_variant(client: APIClient) -> None:
    answer = client.get(HISTORY)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?sku")
    assert client.get(HISTORY, {"sku": "nobody's"}).status_code == 404
