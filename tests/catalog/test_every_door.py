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
from catalog.imports.formats.rows import RowReader
from catalog.imports.numbers import is_nothing
from catalog.imports.readers import open_source
from catalog.imports.report import Report
from catalog.imports.runs import ImportRun
from catalog.models import Attribute, Image, Product, ProductText, Stock, Variant
from catalog.writes.declared import find_mistyped
from catalog.writes.drafts import DraftFault
from catalog.writes.stored import find_odd_currencies, find_repeated_barcodes, find_without_variants
from catalog.writes.texts import compose, find_unseen
from catalog.writes.values import BadValue, show_value
from config.api.rendering.formulas import guard_text
from config.operation.doctor import Level, examine_data
from tests.examples import share
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
        assert not import_lines(write_csv(name_fields(body)), "file.csv").errors


def write_csv(body: Body) -> str:
    out = StringIO()
    row = {name: write_cell(value) for name, value in body.items()}
    writer = csv.DictWriter(out, row)
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue()


def import_lines(text: str, name: str) -> Report:
    run = ImportRun(open_source(BytesIO(text.encode()), name))
    for _ in run.take_steps():
        pass
    return run.report


def name_fields(body: Body) -> Body:
    """Files say `stock` where bodies say `on_hand`."""
    if not isinstance(body.get("variants"), list):
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

HTTPS = "give an address that begins with https://"
LOST = "which can't be seen; remove it"
UNSEEN = "unseen_characters_not_allowed"
ADDRESS = "give one that begins with https://, or a path of this server that begins with one /"

# -- what is sent --------------------------------------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
HOSTILE = st.sampled_from(["=1+1", "'=1", 'a "b", c', "a\\b", '{"a"}', "NULL", "a\nb", "é", "漢字", "🧵", "\u2028"])
TEXTS = (HOSTILE | st.text(LETTERS, min_size=1, max_size=20)).map(str.strip).filter(bool)
LINES = TEXTS.filter(lambda text: find_unseen(text) is None)
PRICES = st.decimals(0, 9_999, places=2).map(str)
WHOLE = st.integers(0, 10_000)
JSON = TEXTS | st.booleans() | st.integers(-(10**9), 10**9) | st.lists(TEXTS, max_size=2)

VARIANTS = st.fixed_dictionaries(
    {"price": PRICES},
    optional={
        "on_hand": WHOLE, "weight": WHOLE,
        # A file's `NULL` may mean that there is no code; a body's means itself.
        "barcode": LINES.filter(lambda text: not is_nothing(text)) | st.just(""),
        "options": st.dictionaries(LINES.map(compose), LINES, max_size=2),
    },
)  # fmt: skip
IMAGES = st.fixed_dictionaries({}, optional={"alt": TEXTS | st.just("")})
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "title": LINES,
    "brand": st.sampled_from(["acme", None]),
    "category": st.sampled_from(["food-tea", None]),
    "status": st.sampled_from(["active", "draft", "archived"]),
    "compare_at_price": PRICES | st.none(),
    "rating": st.decimals(0, 5, places=2).map(str),
    "attributes": st.dictionaries(TEXTS.map(compose), JSON, max_size=3),
    "description": TEXTS | st.just(""),
    "seo_title": LINES | st.just(""),
    "seo_description": TEXTS | st.just(""),
}
PRODUCTS = st.fixed_dictionaries(
    {"title": LINES},
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
# Each example goes through all four doors, three times: half a second. Both halves of the suite draw some.
@settings(max_examples=share(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


# -- the same refusals of values -----------------------------------------------------------------------------------

POINT = "before the decimal point"
DIGITS = "write digits and at most one dot, without currency sign or thousands separator, as in 1299.50"
WHOLE_ONLY = "write digits only, as in 12"
NOT_TEXT = ("is a list; give a text or a number", "is true or false; give a text or a number")
# Member, bad value, code, and the sentence behind the value.
BAD: list[tuple[str, Any, str, str]] = [
    ("sku", " ", "blank", "is blank; give a SKU"),
    ("sku", "S" * 101, "max_length", "has 101 characters; shorten it to 100"),
    ("sku", ["S"], "invalid", NOT_TEXT[0]),
    ("slug", "a b", "invalid", "is not a slug; use letters, digits, hyphens and underscores only"),
    ("slug", "s" * 256, "max_length", "has 256 characters; shorten it to 255"),
    ("title", "T" * 501, "max_length", "has 501 characters; shorten it to 500"),
    ("title", True, "invalid", NOT_TEXT[1]),
    ("title", {}, "invalid", "is an object; give a text or a number"),
    ("brand", ["acme"], "invalid", NOT_TEXT[0]),
    ("brand", True, "invalid", NOT_TEXT[1]),
    ("category", True, "invalid", NOT_TEXT[1]),
    ("status", "gone", "invalid_choice", "is not one of active, draft, archived; give one of these"),
    ("status", 5, "invalid_choice", "is not one of active, draft, archived; give one of these"),
    ("currency", "EURO", "invalid", "is not a currency; write the three capital letters of ISO 4217, as in USD"),
    ("currency", "ZZZ", "invalid", "is not a currency; write the three capital letters of ISO 4217, as in USD"),
    ("price", "1_000", "invalid", f"is not a number; {DIGITS}"),
    ("price", "\u0663.\u0665", "invalid", f"is not a number; {DIGITS}"),
    ("compare_at_price", "1.000001", "max_decimal_places", "has more than two decimal places; round it, as in 12.50"),
    ("currency", False, "invalid", NOT_TEXT[1]),
    ("price", "NaN", "invalid", f"is not a number; {DIGITS}"),
    ("price", "1_0", "invalid", f"is not a number; {DIGITS}"),
    ("price", "٣", "invalid", f"is not a number; {DIGITS}"),
    ("price", ["1"], "invalid", NOT_TEXT[0]),
    ("price", "9" * 1001, "max_string_length", f"has more than 1,000 characters; {DIGITS}"),
    ("price", -1, "min_value", "is below 0; give 0 or more"),
    ("price", "-0.01", "min_value", "is below 0; give 0 or more"),
    ("price", "0.005", "max_decimal_places", "has more than two decimal places; round it, as in 12.50"),
    ("price", "10000000000", "max_whole_digits", f"has more than 10 digits {POINT}; give at most 9999999999.99"),
    ("price", "1e999", "max_digits", "has more than 12 digits; give at most 9999999999.99"),
    ("compare_at_price", "3 bags", "invalid", f"is not a number; {DIGITS}"),
    ("compare_at_price", -3, "min_value", "is below 0; give 0 or more"),
    ("rating", "good", "invalid", "is not a number; write digits and a dot, as in 4.5"),
    ("rating", 5.01, "max_value", "is above 5; give 0 to 5"),
    ("rating", -1, "min_value", "is below 0; give 0 or more"),
    ("rating", "10.5", "max_whole_digits", f"has more than 1 digit {POINT}; give at most 5"),
    ("attributes", [1], "not_a_dict", 'is not a JSON object; write it as in {"colour": "red"}'),
    ("attributes", "red", "not_a_dict", 'is not a JSON object; write it as in {"colour": "red"}'),
    ("description", "D" * 100_001, "max_length", "has 100,001 characters; shorten it to 100,000"),
    ("seo_title", "T" * 501, "max_length", "has 501 characters; shorten it to 500"),
    ("seo_description", "D" * 100_001, "max_length", "has 100,001 characters; shorten it to 100,000"),
    ("variants", "none", "not_a_list", "is not a JSON list; write its entries in square brackets"),
    ("images", {}, "not_a_list", "is not a JSON list; write its entries in square brackets"),
    ("variants/0/sku", "S" * 101, "max_length", "has 101 characters; shorten it to 100"),
    ("variants/0/barcode", "B" * 51, "max_length", "has 51 characters; shorten it to 50"),
    ("variants/0/price", "x", "invalid", f"is not a number; {DIGITS}"),
    ("variants/0/weight", "heavy", "invalid", f"is not a number; {WHOLE_ONLY}"),
    ("variants/0/weight", -1, "min_value", "is below 0; give 0 or more"),
    ("variants/0/on_hand", "1.5", "invalid", f"is not a whole number; {WHOLE_ONLY}"),
    ("variants/0/on_hand", 2**31, "max_value", "is above 2,147,483,647; give a smaller number"),
    ("variants/0/weight", "1" * 1001, "max_string_length", f"has more than 1,000 characters; {WHOLE_ONLY}"),
    ("variants/0/options", "M", "not_a_dict", 'is not a JSON object; write it as in {"colour": "red"}'),
    ("variants/0/options/Size", "M" * 256, "max_length", "has 256 characters; shorten it to 255"),
    ("variants/0/options/Size", ["M"], "invalid", NOT_TEXT[0]),
    ("variants/0/options/Size", None, "null", "is not a text; give a text or a number"),
    ("images/0/url", "javascript:alert(1)", "invalid", "begins with javascript:; give an address that begins with https://"),
    ("images/0/url", "JAVASCRIPT:alert(1)", "invalid", f"begins with JAVASCRIPT:; {HTTPS}"),
    ("images/0/url", "java\tscript:alert(1)", UNSEEN, f"holds U+0009 as its character 5, {LOST}"),
    ("images/0/url", "https://i.example/a\r\n.jpg", UNSEEN, f"holds U+000D as its character 20, {LOST}"),
    ("images/0/url", "data:image/png;base64,AA", "invalid", f"begins with data:; {HTTPS}"),
    ("images/0/url", "ftp://i.example/a.jpg", "invalid", f"begins with ftp:; {HTTPS}"),
    ("images/0/url", "//i.example/a.jpg", "invalid", f"is not a full address; {ADDRESS}"),
    ("images/0/url", "/\\i.example/a.jpg", "invalid", f"is not a full address; {ADDRESS}"),
    ("images/0/url", "a.jpg\\\\i.example", "invalid", f"is not a full address; {ADDRESS}"),
    ("images/0/url", "https:///a.jpg", "invalid", f"is not a full address; {ADDRESS}"),
    ("sku", "A\u200b1", UNSEEN, f"holds U+200B as its character 2, {LOST}"),
    ("sku", "A\u202e1", UNSEEN, f"holds U+202E as its character 2, {LOST}"),
    ("sku", "A\n1", UNSEEN, f"holds U+000A as its character 2, {LOST}"),
    ("sku", "A\u2028 1", UNSEEN, f"holds U+2028 as its character 2, {LOST}"),
    ("sku", "A\u31641", UNSEEN, f"holds U+3164 as its character 2, {LOST}"),
    ("sku", "क्\u200dष", UNSEEN, f"holds U+200D as its character 3, {LOST}"),
    ("sku", "..", "invalid", "is a step in an address; add a letter or a digit"),
    ("variants/0/sku", ".", "invalid", "is a step in an address; add a letter or a digit"),
    ("title", "Lam\u200dp", UNSEEN, f"holds U+200D as its character 4, {LOST}"),
    ("title", "Lamp\u2066", UNSEEN, f"holds U+2066 as its character 5, {LOST}"),
    ("slug", "a\u00adb", UNSEEN, f"holds U+00AD as its character 2, {LOST}"),
    ("variants/0/sku", "V\ufeff1", UNSEEN, f"holds U+FEFF as its character 2, {LOST}"),
    ("variants/0/barcode", "4\t2", UNSEEN, f"holds U+0009 as its character 2, {LOST}"),
    ("variants/0/options/Size", "M\u200b", UNSEEN, f"holds U+200B as its character 2, {LOST}"),
    ("images/0/url", "https://i.example/" + "x" * 983, "max_length", "has 1,001 characters; shorten it to 1,000"),
    ("images/0/url", "https://i.example/" + "€" * 700, "max_length", "has 2,118 bytes; shorten it to 2,000"),
    ("images/0/alt", "A" * 501, "max_length", "has 501 characters; shorten it to 500"),
    ("images/0/position", -1, "min_value", "is below 0; give 0 or more"),
    ("images/0/position", "first", "invalid", f"is not a number; {WHOLE_ONLY}"),
]  # fmt: skip


def spoil(path: str, value: Any) -> Body:
    """A good body but for this value."""
    body: Body = {"sku": "NEW", "title": "T"}
    name, *way = path.split("/")
    if name == "variants" and way:
        row: Body = {"sku": "V", "price": "1"}
        body["variants"] = [row | ({"options": {way[2]: value}} if len(way) == 3 else {way[1]: value})]
        return body
    if name == "images" and way:
        return body | {"price": "1", "images": [{"url": "https://i.example/1.jpg", way[1]: value}]}
    return body | {"price": "1", name: value}


def name_column(path: str) -> str:
    """`variants/0/on_hand` is `variants[1].stock` in a file, where people count from one."""
    name, *way = path.replace("on_hand", "stock").split("/")
    return ".".join([f"{name}[1]", *way[1:]]) if way else name


@pytest.mark.once
@pytest.mark.parametrize(
    ("path", "value", "code", "sentence"), BAD, ids=[f"{path}-{number}" for number, (path, *_) in enumerate(BAD)]
)
def test_a_bad_value_has_one_code_and_one_wording(
    path: str, value: Any, code: str, sentence: str, staff: APIClient
) -> None:
    body, before = spoil(path, value), snapshot()
    (single,) = staff.post(URL, body).json()["errors"]
    (bulk,) = staff.post(f"{URL}bulk/", {"mode": "upsert", "items": [body]}).json()["errors"]
    expected = f"{show_value(value)} {sentence}."
    assert single == {"pointer": f"/{path}", "code": code, "detail": expected}
    assert bulk == {"pointer": f"/items/0/{path}", "code": code, "detail": expected}
    fields = name_fields(body)
    for text, name in ((json.dumps(fields), "file.ndjson"), (write_csv(fields), "file.csv")):
        if name == "file.csv" and not isinstance(value, str) and "/" not in path:
            continue  # a cell is text: it can't be of another type
        codes, reasons = collect_refusals(text, name)
        assert codes == [code], name
        assert reasons == [f"{name_column(path)}: {expected.removesuffix('.')}"], name
    assert snapshot() == before


def test_a_comma_is_refused_where_files_may_say_what_it_means(staff: APIClient) -> None:
    body = spoil("price", "12,50")
    (single,) = staff.post(URL, body).json()["errors"]
    assert single == {"pointer": "/price", "code": "invalid", "detail": f"'12,50' is not a number; {DIGITS}."}
    codes, (reason,) = collect_refusals(json.dumps(name_fields(body)), "file.ndjson")
    assert codes == ["ambiguous"]
    assert reason.endswith("name the decimal sign by the option decimal, as . or ,")


def collect_refusals(text: str, name: str) -> tuple[list[str], list[str]]:
    codes = []

    def refuse(row: RowReader, column: str, cell: Any, error: BadValue, real: Any = RowReader.refuse_value) -> None:
        codes.append(error.code)
        real(row, column, cell, error)

    with patch.object(RowReader, "refuse_value", refuse):
        errors = import_lines(text, name).errors
    return codes, [error.reason for error in errors]


@pytest.mark.parametrize("name", ["variants", "images"])
def test_a_long_list_is_refused_in_the_same_words_at_each_door_s_own_limit(name: str, staff: APIClient) -> None:
    for most in (250, 2_500):
        body: Body = {"sku": "NEW", "title": "T", "price": "1", name: [{}] * (most + 1)}
        sentence = f"This list has {most + 1:,} entries; give at most {most:,}"
        if most == 250:
            (error,) = staff.post(URL, body).json()["errors"]
            assert error == {"pointer": f"/{name}", "code": "max_length", "detail": f"{sentence}."}
        else:
            assert collect_refusals(json.dumps(body), "file.ndjson") == (["max_length"], [f"{name}: {sentence}"])


# -- declared attributes -------------------------------------------------------------------------------------------

NUMBER = "isn't a number, as the attribute 'weight' is declared; give it without quotes, as in 450."
FLAG = "isn't true or false, as the attribute 'organic' is declared; give true or false without quotes."
TEXT = "isn't a text, as the attribute 'color' is declared; put it in quotes."
MISTYPED: list[tuple[str, Any, str]] = [
    ("weight", "450", f"'450' {NUMBER}"),
    ("weight", True, f"'true' {NUMBER}"),
    ("organic", "yes", f"'yes' {FLAG}"),
    ("organic", 1, f"'1' {FLAG}"),
    ("color", 5, f"'5' {TEXT}"),
    ("color", ["red"], f"'[\"red\"]' {TEXT}"),
]


@pytest.fixture
def declared() -> None:
    for name, kind in (("weight", "number"), ("organic", "boolean"), ("color", "text")):
        Attribute.objects.create(name=name, type=kind)


@pytest.mark.parametrize(("name", "value", "sentence"), MISTYPED)
def test_an_attribute_of_another_type_than_declared_is_refused(
    name: str, value: Any, sentence: str, staff: APIClient, declared: None
) -> None:
    body: Body = {"sku": "NEW", "title": "T", "price": "1", "attributes": {name: value, "free": [value]}}
    (single,) = staff.post(URL, body).json()["errors"]
    (bulk,) = staff.post(f"{URL}bulk/", {"mode": "upsert", "items": [body]}).json()["errors"]
    assert single == {"pointer": f"/attributes/{name}", "code": "invalid", "detail": sentence}
    assert bulk == single | {"pointer": f"/items/0/attributes/{name}"}
    for text, kind in ((json.dumps(body), "file.ndjson"), (write_csv(body), "file.csv")):
        (error,) = import_lines(text, kind).errors
        assert error.reason == f"attributes.{name}: {sentence.removesuffix('.')}"
    assert not Product.objects.exists()


def test_values_of_the_declared_types_are_taken_and_found(staff: APIClient, declared: None) -> None:
    values = {"weight": 450, "organic": True, "color": "red", "other": {"deep": 1}}
    write_singly(staff, [{"sku": "A", "title": "T", "price": "1", "attributes": values}])
    query = {"attr.weight": "450", "attr.organic": "true", "attr.color": "red", "fields": "sku"}
    assert staff.get(URL, query).json()["results"] == [{"sku": "A"}]


def test_a_stored_value_of_another_type_stays_and_doctor_lists_it(staff: APIClient, declared: None) -> None:
    product = make_product(sku="OLD", attributes={"weight": "450", "organic": None})
    attributes = {"weight": "450", "organic": None, "color": "red"}
    answer = staff.patch(f"{URL}{product.pk}/", {"attributes": attributes})
    assert answer.json()["attributes"] == attributes
    assert staff.patch(f"{URL}{product.pk}/", {"attributes": {"weight": "451"}}).status_code == 400
    assert list(find_mistyped()) == [
        (
            "The attribute 'weight' is declared as number, but its value isn't a number in OLD.",
            "No filter finds these values: write them again, or declare another type.",
        )
    ]
    assert next(found for found in examine_data()).level == Level.WARNING


# -- spellings of numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("price", ["1.00000", "1", "0.1e1", "1.0"])
def test_zeros_after_the_cent_are_ignored(price: str, door: str, staff: APIClient) -> None:
    DOORS[door](staff, [{"sku": "A", "title": "T", "price": price, "compare_at_price": "0.0000"}])
    product = Product.objects.get()
    assert (product.price, product.compare_at_price) == (Decimal("1.00"), Decimal("0.00"))


def test_doctor_lists_products_without_a_variant() -> None:
    make_product(sku="BARE", variants=0)
    make_product(sku="WHOLE")
    assert [detail for detail, _ in find_without_variants()] == [
        "Some products have no variant, so they have no price: BARE."
    ]


def test_doctor_lists_barcodes_of_several_variants() -> None:
    for number, barcode in enumerate(("", "", "4001", "4002", "4001")):
        make_product(sku=f"P{number}").variants.update(barcode=barcode)
    assert [detail for detail, _ in find_repeated_barcodes()] == ["Some barcodes belong to several variants: 4001."]


def test_doctor_lists_a_stored_currency_that_does_not_exist() -> None:
    make_product(sku="OLD", currency="ZZZ")
    make_product(currency="EUR")
    [(detail, _)] = find_odd_currencies()
    assert detail == "Some products have a currency that isn't in ISO 4217: ZZZ in OLD."
