"""One pipeline behind every door: single writes, bulk and files leave the same rows and refuse alike."""

import csv
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.imports import seen, upsert
from catalog.imports.readers import open_source
from catalog.imports.report import Report
from catalog.imports.runs import ImportRun
from catalog.models import Image, Product, ProductText, Stock, Variant
from catalog.writes.drafts import DraftFault
from config.api.rendering.formulas import guard_text
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"

type Body = dict[str, Any]

# -- the doors -----------------------------------------------------------------------------------------------------


def write_singly(staff: APIClient, bodies: Iterable[Body]) -> None:
    for body in bodies:
        product = Product.objects.filter(sku=body["sku"]).first()
        answer = staff.patch(f"{URL}{product.pk}/", body) if product else staff.post(URL, body)
        assert answer.status_code in (200, 201), answer.json()


def write_in_bulk(staff: APIClient, bodies: Iterable[Body]) -> None:
    answer = staff.post(f"{URL}bulk/", {"mode": "upsert", "items": list(bodies)})
    assert answer.status_code == 200, answer.json()


def write_as_ndjson(staff: APIClient, bodies: Iterable[Body]) -> None:
    report = import_lines("\n".join(json.dumps(name_fields(body)) for body in bodies), "file.ndjson")
    assert not report.errors


def write_as_csv(staff: APIClient, bodies: Iterable[Body]) -> None:
    """A file each, since a cell that is blank says more than one that is absent."""
    for body in bodies:
        out = StringIO()
        row = {name: write_cell(value) for name, value in name_fields(body).items()}
        writer = csv.DictWriter(out, row)
        writer.writeheader()
        writer.writerow(row)
        assert not import_lines(out.getvalue(), "file.csv").errors


def import_lines(text: str, name: str) -> Report:
    run = ImportRun(open_source(BytesIO(text.encode()), name))
    for _ in run.take_steps():
        pass
    return run.report


def name_fields(body: Body) -> Body:
    """Files say `stock` where bodies say `on_hand`."""
    if "variants" not in body:
        return body
    variants = [{"stock" if name == "on_hand" else name: v for name, v in row.items()} for row in body["variants"]]
    return body | {"variants": variants}


def write_cell(value: Any) -> str:
    if value is None:
        return ""
    return guard_text(value) if isinstance(value, str) else json.dumps(value)


DOORS: dict[str, Callable[[APIClient, Iterable[Body]], None]] = {
    "single": write_singly,
    "bulk": write_in_bulk,
    "ndjson": write_as_ndjson,
    "csv": write_as_csv,
}

# -- what is sent --------------------------------------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
HOSTILE = st.sampled_from(["=1+1", "'=1", 'a "b", c', "a\\b", '{"a"}', "NULL", "a\nb", "é", "漢字", "🧵", "\u2028"])
TEXTS = (HOSTILE | st.text(LETTERS, min_size=1, max_size=20)).map(str.strip).filter(bool)
PRICES = st.decimals(0, 9_999, places=2).map(str)
WHOLE = st.integers(0, 10_000)
JSON = TEXTS | st.booleans() | st.integers(-(10**9), 10**9) | st.lists(TEXTS, max_size=2)

VARIANTS = st.fixed_dictionaries(
    {"price": PRICES},
    optional={
        "on_hand": WHOLE, "weight": WHOLE, "barcode": TEXTS | st.just(""),
        "options": st.dictionaries(TEXTS, TEXTS, max_size=2),
    },
)  # fmt: skip
IMAGES = st.fixed_dictionaries({}, optional={"alt": TEXTS | st.just("")})
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "title": TEXTS,
    "brand": st.sampled_from(["acme", None]),
    "category": st.sampled_from(["food-tea", None]),
    "status": st.sampled_from(["active", "draft", "archived"]),
    "compare_at_price": PRICES | st.none(),
    "rating": st.decimals(0, 5, places=2).map(str),
    "attributes": st.dictionaries(TEXTS, JSON, max_size=3),
    "description": TEXTS | st.just(""),
    "seo_title": TEXTS | st.just(""),
    "seo_description": TEXTS | st.just(""),
}
PRODUCTS = st.fixed_dictionaries(
    {"title": TEXTS},
    optional={name: values for name, values in MEMBERS.items() if name != "title"}
    | {"variants": st.lists(VARIANTS, min_size=1, max_size=3), "images": st.lists(IMAGES, max_size=3)},
)
# Of a product that is there by then; nested rows are changed where they stand.
CHANGES = st.fixed_dictionaries({}, optional={name: MEMBERS[name] for name in MEMBERS if name != "attributes"})


def complete(number: int, body: Body, price: str) -> Body:
    """With names that stand once in a catalogue."""
    body = {"sku": f"É-{number} \"'", "slug": f"slug-{number}"} | body
    if "variants" in body:
        body["variants"] = [{"sku": f"V{number}\\{place}"} | row for place, row in enumerate(body["variants"])]
    else:
        body["price"] = price
    if "images" in body:
        rows = enumerate(body["images"])
        body["images"] = [{"url": f"https://i.example/{number}/{place}.jpg"} | row for place, row in rows]
    return body


def change(body: Body, changes: Body, price: str) -> Body:
    changed = {"sku": body["sku"]} | changes
    if "variants" in body:
        rows = enumerate(body["variants"])
        return changed | {"variants": [{"sku": row["sku"], "price": price, "on_hand": place} for place, row in rows]}
    return changed | {"price": price}


def snapshot() -> list[list[tuple[Any, ...]]]:
    """Every column that a writer decides, and the versions, which say what moved."""
    product = ("sku", "slug", "title", "brand__slug", "category__slug", "status", "currency", "price", "version")
    product += ("compare_at_price", "in_stock", "rating", "image_url", "attributes")
    variant = ("product__sku", "sku", "barcode", "options", "price", "weight", "position", "version")
    tables = (
        Product.objects.order_by("sku").values_list(*product),
        ProductText.objects.order_by("product__sku").values_list(
            "product__sku", "description", "seo_title", "seo_description"
        ),
        Variant.objects.order_by("sku").values_list(*variant),
        Stock.objects.order_by("variant__sku").values_list("variant__sku", "location", "on_hand"),
        Image.objects.order_by("url").values_list("product__sku", "url", "alt", "position"),
    )
    return [[tuple(map(mark_type, row)) for row in table] for table in tables]


def mark_type(value: Any) -> Any:
    """JSON with its types: in Python True is 1."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


# -- the same rows -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(PRODUCTS, min_size=1, max_size=3),
    changes=st.lists(CHANGES, min_size=3, max_size=3),
    price=PRICES,
)
def test_the_same_products_leave_the_same_rows_whichever_door_they_come_by(
    bodies: list[Body], changes: list[Body], price: str, staff: APIClient
) -> None:
    created = [complete(number, body, price) for number, body in enumerate(bodies)]
    changed = [change(body, some, "7.70") for body, some in zip(created, changes, strict=False)]
    left: dict[str, Any] = {}
    with transaction.atomic():
        make_brand("Acme")
        make_category("Food", "Tea")
        for name, write in DOORS.items():
            with transaction.atomic():
                write(staff, created)
                first = snapshot()
                write(staff, created)
                assert snapshot() == first, f"{name}: the same again moved something"
                write(staff, changed)
                left[name] = [first, snapshot()]
                transaction.set_rollback(True)
        transaction.set_rollback(True)
    assert Decimal(left["single"][1][0][0][7]) == Decimal("7.70")
    for name in DOORS:
        assert left[name] == left["single"], name


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("before", "after"), [(1, True), (True, 1), (0, False), (1.0, True), ([{"a": 1}], [{"a": True}])]
)
def test_true_and_one_are_two_values(before: Any, after: Any, door: str, staff: APIClient) -> None:
    body: Body = {"sku": "A", "title": "T", "price": "1", "attributes": {"is_new": before, "size": "M"}}
    DOORS[door](staff, [body])
    changed = body | {"attributes": {"is_new": after, "size": "M"}}
    DOORS[door](staff, [changed])
    product = Product.objects.get()
    assert (json.dumps(product.attributes["is_new"]), product.version) == (json.dumps(after), 2)
    DOORS[door](staff, [changed])
    assert Product.objects.get().version == 2


def test_a_number_in_another_spelling_is_no_change(staff: APIClient) -> None:
    """PostgreSQL writes 1e17 without its exponent, and its triggers take 1.0 for 1."""
    for numbers in ([1, 1e17, -0.0], [1.0, 1e17, -0.0], [1.0, 10**17, 0]):
        write_singly(staff, [{"sku": "A", "title": "T", "price": "1", "attributes": {"numbers": numbers}}])
    assert Product.objects.get().version == 1


# -- the same refusals ---------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, Body]] = [
    ("required", {"sku": "NEW", "title": "T"}),
    ("required", {"sku": "NEW", "title": "T", "variants": [{"sku": "V"}]}),
    ("taken", {"sku": "NEW", "title": "T", "price": "1", "slug": "here"}),
    ("taken", {"sku": "HERE-2", "title": "T", "price": "1"}),
    ("taken", {"sku": "NEW", "title": "T", "variants": [{"sku": "HERE-2", "price": "1"}]}),
    ("taken", {"sku": "OTHER", "slug": "here"}),
    ("taken", {"sku": "OTHER", "variants": [{"sku": "HERE", "price": "1"}]}),
    ("reserved", {"sku": "OTHER", "variants": [{"sku": "OTHER", "on_hand": 2}]}),
    ("derived", {"sku": "SEVERAL", "price": "7.70"}),
    ("repeated", {"sku": "NEW", "title": "T", "variants": [{"sku": "V", "price": "1"}, {"sku": "V", "price": "1"}]}),
]


@pytest.mark.parametrize(("code", "body"), REFUSED)
def test_a_refusal_has_one_code_and_one_wording(code: str, body: Body, staff: APIClient) -> None:
    make_product(sku="HERE", slug="here", variants=2)
    make_product(sku="OTHER", slug="other", stock=5)
    make_product(sku="SEVERAL", variants=2)
    Variant.objects.filter(sku="SEVERAL").update(sku="SEVERAL-1")
    Stock.objects.filter(variant__sku="OTHER").update(reserved=3)
    before = snapshot()
    product = Product.objects.filter(sku=body["sku"]).first()
    single = staff.patch(f"{URL}{product.pk}/", body) if product else staff.post(URL, body)
    bulk = staff.post(f"{URL}bulk/", {"mode": "upsert", "items": [body]})
    codes = []

    def describe(key: str, fault: DraftFault, real: Any = upsert.describe_fault) -> Any:
        codes.append(fault.code)
        return real(key, fault)

    with patch.object(seen, "describe_fault", describe), patch.object(upsert, "describe_fault", describe):
        (error,) = import_lines(json.dumps(name_fields(body)), "file.ndjson").errors
    (told,) = single.json()["errors"]
    (again,) = bulk.json()["errors"]
    assert [told["code"], again["code"], *codes] == [code] * 3
    assert (again["pointer"], again["detail"].replace("/items/0", "")) == (f"/items/0{told['pointer']}", told["detail"])
    # A body ends its sentences with a dot, and points where a file names lines.
    sentence = told["detail"].removesuffix(".").replace("at /variants/0/sku", "on line 1")
    assert error.reason.partition(": ")[2] == sentence
    assert snapshot() == before
