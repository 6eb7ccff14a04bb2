"""`GET /api/v1/exports/{table}.csv` and `.ndjson` of each table: the rows of its list, for who may have them all."""

import csv
import gc
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.orders import place_order
from catalog.changes.feed import read_cursor
from catalog.changes.log import purge_changes
from catalog.models import Change, Product, Stock, Variant
from config.api.reads.dialects import DIALECTS
from config.api.reads.projection import compile_projection
from config.api.reads.resources import RESOURCES
from config.api.reads.selections import ReadSerializer, build_selection, list_expandable
from config.api.schema import documents
from exports.formats.formats import FORMATS
from exports.rows.cells import Cells, compile_cells
from exports.streaming import slots
from exports.streaming.hangups import ClientConnection
from exports.streaming.streams import Body
from tests.exports.conftest import make_many, read_body
from tests.factories import make_brand, make_caller, make_product, make_user

pytestmark = pytest.mark.django_db


def read_ndjson(client: APIClient, table: str, **query: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    body = read_body(client.get(f"/api/v1/exports/{table}.ndjson", query))
    *rows, end = [json.loads(line) for line in body.splitlines()]
    return rows, end


def read_csv(client: APIClient, table: str, **query: Any) -> list[dict[str, str]]:
    text = read_body(client.get(f"/api/v1/exports/{table}.csv", query)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def show(value: Any) -> str:
    """As a cell of CSV."""
    return "" if value is None else str(value)


SHAPES = [shape for table in RESOURCES.values() for shape in (table.shape, table.public_shape) if shape]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_each_shape_is_compiled_for_each_database(shape: ReadSerializer) -> None:
    for vendor in DIALECTS:
        compile_projection(shape, build_selection(shape, frozenset(list_expandable(shape))), vendor)
    compile_cells(shape, build_selection(shape), "", Cells())


@pytest.mark.usefixtures("small_chunks")
def test_variants_are_those_of_their_products(caller: APIClient) -> None:
    products = [make_product(variants=2) for _ in range(3)]
    # A row of a file names its product also by its SKU, for imports.
    listed = [
        row | {"product_sku": product.sku}
        for product in products
        for row in caller.get(f"/api/v1/products/{product.pk}/variants/").json()["results"]
    ]
    rows, end = read_ndjson(caller, "variants")
    assert rows == listed
    assert (end["rows"], end["last_id"]) == (6, Variant.objects.latest("pk").pk)
    flat = [{name: show(value) for name, value in row.items() if name != "options"} for row in listed]
    assert read_csv(caller, "variants", omit="options") == flat


@pytest.mark.usefixtures("small_chunks")
def test_stock_names_its_variant_by_sku(caller: APIClient) -> None:
    for number in range(4):
        make_product(sku=f"=A{number}", stock=number)
    expected = [
        {
            "id": stock.pk, "variant": stock.variant_id, "sku": stock.variant.sku, "location": "main",
            "on_hand": stock.on_hand, "reserved": 0,
        }
        for stock in Stock.objects.select_related("variant").order_by("pk")
    ]  # fmt: skip
    assert read_ndjson(caller, "stock")[0] == expected
    guarded = [{name: show(value) for name, value in row.items()} | {"sku": f"'{row['sku']}"} for row in expected]
    assert read_csv(caller, "stock") == guarded


def test_what_belongs_to_a_draft_is_for_who_may_see_it(caller: APIClient, staff: APIClient) -> None:
    make_product()
    make_product(status="draft")
    for table in ("products", "variants", "stock"):
        assert len(read_ndjson(caller, table)[0]) == len(read_csv(caller, table)) == 1, table
        assert len(read_ndjson(staff, table)[0]) == len(read_csv(staff, table)) == 2, table


@pytest.mark.parametrize(
    ("table", "format_"), [(name, one) for name, table in RESOURCES.items() for one in FORMATS if one in table.formats]
)
def test_the_command_writes_what_is_streamed(
    table: str, format_: str, staff: APIClient, tmp_path: Path, settings: Any
) -> None:
    product = make_product(sku="=A", stock=9, brand=make_brand("Acme"), variants=2)
    make_product(status="draft")
    place_order(make_user(), [{"sku": product.sku, "quantity": 1}])
    settings.PUBLIC_URL = "http://testserver"
    file = tmp_path / "file"
    call_command("export", table, format=format_, output=str(file), json=True)
    assert file.read_bytes() == read_body(staff.get(f"/api/v1/exports/{table}.{format_}"))
    assert len(file.read_bytes().splitlines()) > 1


@pytest.mark.slow
def test_a_change_log_that_is_gone_is_in_the_document() -> None:
    paths = documents.build_document()["paths"]
    gone = [
        path for path, methods in paths.items() if "/exports/" in path and "410" in methods.get("get", {})["responses"]
    ]
    assert {"/api/v1/exports/changes.csv", "/api/v1/exports/changes.ndjson"} <= set(gone)
    assert "/api/v1/exports/products.csv" not in gone


# -- changes ------------------------------------------------------------------------------------------------------


def follow(client: APIClient, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/changes/", {"page_size": 200} | query).json()["results"]
    return found


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("query", [{}, {"entity": "product,stock"}, {"since": "2020-01-01"}, {"until": "2020-01-01"}])
def test_changes_are_those_of_the_feed(query: dict[str, str], caller: APIClient, staff: APIClient) -> None:
    make_product(sku="seen")
    draft, gone = make_product(sku="hidden", status="draft"), make_product(sku="gone")
    Product.objects.filter(pk=draft.pk).update(title="Secret")
    gone.delete()
    for client in (caller, staff):
        listed = follow(client, **query)
        assert read_ndjson(client, "changes", **query)[0] == listed
        assert read_csv(client, "changes", **query) == [
            {name: show(value) for name, value in row.items()} for row in listed
        ]
    assert ("hidden" in str(follow(staff, **query))) == ("until" not in query)
    assert "hidden" not in str(read_ndjson(caller, "changes", **query))


def test_an_entity_that_is_not_known_is_named(caller: APIClient) -> None:
    answer = caller.get("/api/v1/exports/changes.csv", {"entity": "produkt"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?entity")


def test_changes_go_on_only_where_the_log_reaches_back_to(caller: APIClient) -> None:
    make_many(5)
    newest = int(read_ndjson(caller, "changes")[1]["changes_cursor"])
    first = Change.objects.earliest("position").position
    assert read_ndjson(caller, "changes", after=newest)[0] == []
    assert len(read_ndjson(caller, "changes", after=newest - 2)[0]) == 2
    # From another database; and from before what was purged.
    for after in (newest + 1000, 1):
        purge_changes(timezone.now() + timedelta(days=1))
        answer = caller.get("/api/v1/exports/changes.csv", {"after": after})
        assert (answer.status_code, answer.json()["code"]) == (410, "changes_gone"), (after, first)


@pytest.mark.usefixtures("small_chunks")
def test_the_cursor_of_the_trailer_misses_nothing(caller: APIClient) -> None:
    """What is written while the export runs stands in the file or behind its cursor, or in both."""
    products = make_many(7)
    blocks = iter(caller.get("/api/v1/exports/products.ndjson", {"fields": "id,title"}))  # type: ignore[call-overload]  # a stream
    body = next(blocks)
    Product.objects.filter(pk__in=[products[0].pk, products[6].pk]).update(title="Changed")
    late = make_product(sku="late")
    *rows, end = [json.loads(line) for line in (body + b"".join(blocks)).splitlines()]
    copy = {row["id"]: row["title"] for row in rows}
    assert copy[products[0].pk] != "Changed"
    assert copy[products[6].pk] == "Changed"
    for change in follow(caller, after=end["changes_cursor"], entity="product"):
        copy[change["entity_id"]] = Product.objects.get(pk=change["entity_id"]).title
    assert copy == dict(Product.objects.values_list("pk", "title"))
    assert late.pk in copy


# -- orders -------------------------------------------------------------------------------------------------------


@pytest.fixture
def support(db: None) -> APIClient:
    return make_caller("Support")


@pytest.fixture
def orders() -> None:
    for number in range(4):
        product = make_product(stock=9)
        place_order(make_user(), [{"sku": product.sku, "quantity": number + 1}])


@pytest.mark.usefixtures("small_chunks", "orders")
def test_orders_are_those_of_the_list(support: APIClient) -> None:
    listed = support.get("/api/v1/orders/?ordering=placed_at").json()["results"]
    rows, end = read_ndjson(support, "orders")
    assert rows == listed
    assert len(rows[0]["lines"]) == 1
    assert end["changes_cursor"] == str(read_cursor())
    flat = [{name: show(value) for name, value in row.items() if name != "lines"} for row in listed]
    assert read_csv(support, "orders") == flat


def test_a_list_in_a_row_is_no_cell(support: APIClient) -> None:
    for query in ({"fields": "number,lines"}, {"expand": "lines"}):
        answer = support.get("/api/v1/exports/orders.csv", query)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"?{next(iter(query))}")
        assert "orders.ndjson" in answer.json()["hint"]


# -- at once ------------------------------------------------------------------------------------------------------


@pytest.fixture
def leave_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves ends its request, and Django then closes what the test's own transaction is on."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)


@pytest.mark.usefixtures("leave_connections")
def test_at_most_as_many_streams_run_as_there_are_slots(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_many(3)
    monkeypatch.setattr("exports.streaming.views.SLOTS", slots.StreamSlots(2))
    url = "/api/v1/exports/products.csv"
    first, second = caller.get(url), caller.get(url)
    refused = caller.get(url)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_exports")
    assert refused["Retry-After"] == "5"
    assert caller.head(url).status_code == 200
    first.close()
    third = caller.get(url)
    assert third.status_code == 200
    # Whole ones give theirs back too, and each only its own.
    read_body(third)
    third.close()
    second.close()
    second.close()
    last = [caller.get(url) for _ in range(3)]
    assert [answer.status_code for answer in last] == [200, 200, 429]
    for answer in last:
        answer.close()


@pytest.mark.usefixtures("leave_connections")
def test_a_stream_that_never_begins_keeps_no_slot(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exports.streaming.views.SLOTS", slots.StreamSlots(1))

    def fail(*args: Any) -> Any:
        raise RuntimeError("lost")

    for name in ("exports.rows.chunks.read_chunk", "exports.streaming.views.ClientConnection"):
        make_many(1, prefix=name)
        with monkeypatch.context() as patched:
            patched.setattr(name, fail)
            with pytest.raises(RuntimeError, match="lost"):
                caller.get("/api/v1/exports/products.ndjson")
        answer = caller.get("/api/v1/exports/products.ndjson")
        assert answer.status_code == 200
        answer.close()


@pytest.mark.slow
def test_an_answer_that_is_dropped_unread_keeps_no_slot() -> None:
    own = slots.StreamSlots(1)
    body = Body(own.hold([b"first", b"second"]), ClientConnection(port=0))
    assert own.taken == 1
    del body  # as by a middleware that fails, whose 500 the server sends in its place
    gc.collect()
    assert own.taken == 0


# -- compression --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["zstd", "gzip, br, zstd", "gzip;q=0.5, zstd;q=0.5", "br;q=0.1, ZSTD;q=0.2", "*"])
def test_zstd_is_chosen_if_it_has_the_greatest_weight(accept: str, caller: APIClient) -> None:
    make_many(700)
    plain = read_body(caller.get("/api/v1/exports/products.csv"))
    answer = caller.get("/api/v1/exports/products.csv", HTTP_ACCEPT_ENCODING=accept)
    assert answer["Content-Encoding"] == "zstd"
    blocks = list(answer)  # type: ignore[call-overload]  # a stream
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    first = unpacker.decompress(blocks[0])
    # Each block is readable as it comes, and all of them are one frame.
    assert len(first) > 0
    assert plain.startswith(first)
    assert first + unpacker.decompress(b"".join(blocks[1:])) == plain
    assert unpacker.eof
    assert unpacker.unused_data == b""


@pytest.mark.parametrize("accept", ["br", "gzip, deflate, br", "*, zstd;q=0"])
def test_brotli_comes_as_one_stream(accept: str, caller: APIClient) -> None:
    make_many(700)
    plain = read_body(caller.get("/api/v1/exports/products.csv"))
    answer = caller.get("/api/v1/exports/products.csv", HTTP_ACCEPT_ENCODING=accept)
    assert answer["Content-Encoding"] == "br"
    blocks = list(answer)  # type: ignore[call-overload]  # a stream
    unpacker = brotli.Decompressor()
    first = unpacker.process(blocks[0])
    # Each block is readable as it comes.
    assert len(first) > 0
    assert plain.startswith(first)
    assert first + unpacker.process(b"".join(blocks[1:])) == plain
    assert unpacker.is_finished()


@pytest.mark.parametrize("accept", ["gzip, zstd;q=0", "gzip, zstd;q=0.5", "*;q=0.5, gzip", "gzip"])
def test_gzip_is_chosen_if_zstd_has_a_lower_weight(accept: str, caller: APIClient) -> None:
    answer = caller.get("/api/v1/exports/products.csv", HTTP_ACCEPT_ENCODING=accept)
    assert answer["Content-Encoding"] == "gzip"
    read_body(answer)
