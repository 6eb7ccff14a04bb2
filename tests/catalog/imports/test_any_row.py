"""Whatever a file holds: a row is imported or refused by its line, and a second import changes nothing."""

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.imports.errors import BadFile
from catalog.imports.readers import open_source
from catalog.imports.report import Report
from catalog.imports.runs import ImportRun
from catalog.imports.values import FIELDS
from catalog.models import Product
from tests.examples import share

pytestmark = pytest.mark.django_db

# The database is rolled back by hand after each example.
FEW = settings(max_examples=share(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = (
    "",
    " ",
    "A",
    "b",
    "1",
    "0",
    "12.50",
    "1e3",
    "-1",
    "5.5",
    "true",
    "draft",
    "Tea",
    "a > b",
    "x, y",
    "é",
    "\0",
    "'=x",
)
LONG = ("9" * 13, "T" * 501, '{"a": 1.5}', '[{"sku": "V", "price": 1}]', '["one.jpg"]', "https://i.example/x.jpg")
LIKELY = st.sampled_from(WORDS + LONG)
CELLS = st.one_of(LIKELY, st.text(max_size=20))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sku", "url", "price", "x"]), inner),
    max_leaves=6,
)
SHOPIFY = ("Handle", "Title", "Vendor", "Type", "Tags", "Published", "Option1 Name", "Option1 Value", "Variant SKU")
SHOPIFY += ("Variant Grams", "Variant Inventory Qty", "Variant Price", "Image Src", "Image Position", "Status")


def import_twice(content: bytes, name: str) -> None:
    """Import, compare with a dry run before it and a second run after it, and leave the database as it was."""
    with transaction.atomic():
        dry, first, second = (import_bytes(content, name, dry_run=dry_run) for dry_run in (True, False, False))
        assert [dry.products, dry.variants, dry.images, dry.errors] == [
            first.products,
            first.variants,
            first.images,
            first.errors,
        ]
        assert first.products.created == Product.objects.count()
        assert all(error.line >= 1 and error.reason for error in first.errors)
        assert second.errors == first.errors
        assert not second.has_changes
        transaction.set_rollback(True)


def import_bytes(content: bytes, name: str, *, dry_run: bool) -> Report:
    run = ImportRun(open_source(BytesIO(content), name), dry_run=dry_run)
    for _ in run.take_steps():
        pass
    return run.report


def quote_row(cells: tuple[str, ...]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


@pytest.mark.slow
@FEW
@given(st.lists(st.dictionaries(st.sampled_from(sorted(FIELDS)), CELLS, max_size=4), max_size=4))
def test_any_plain_rows_are_imported_or_refused(rows: list[dict[str, str]]) -> None:
    blank = dict.fromkeys(FIELDS, "") | {"title": "Lamp", "price": "1"}
    cells = (tuple((blank | {"sku": f"S{number}"} | row).values()) for number, row in enumerate(rows))
    lines = [",".join(FIELDS), *map(quote_row, cells)]
    import_twice("\n".join(lines).encode("utf-8", "surrogatepass"), "file.csv")


@pytest.mark.slow
@FEW
@given(st.lists(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON), max_size=4))
def test_any_objects_are_imported_or_refused(rows: list[dict[str, Any]]) -> None:
    likely = {"sku": "A", "title": "Lamp", "price": 1}
    lines = [json.dumps(likely), *(json.dumps({**likely, "sku": f"S{n}", **row}) for n, row in enumerate(rows))]
    import_twice("\n".join(lines).encode(), "file.ndjson")


@pytest.mark.slow
@FEW
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "B", ""]), *[CELLS] * (len(SHOPIFY) - 1)), max_size=6))
def test_any_shopify_rows_are_imported_or_refused(rows: list[tuple[str, ...]]) -> None:
    lines = [",".join(SHOPIFY), *map(quote_row, rows)]
    import_twice("\n".join(lines).encode("utf-8", "surrogatepass"), "file.csv")


@pytest.mark.slow
@FEW
@given(st.binary(max_size=200), st.sampled_from(["file.csv", "file.ndjson"]))
def test_any_bytes_are_imported_or_refused(content: bytes, name: str) -> None:
    for start in (b"", b"sku,title,price\n"):
        with suppress(BadFile):
            import_twice(start + content, name)
