"""`GET /api/v1/exports/products.csv` and `.ndjson`: who may, what is in them, and that they equal the list."""

import collections
import csv
import gzip
import hashlib
import io
import json
import logging
import zlib
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.models import Attribute, Brand, Category, Product, Variant
from catalog.serializers import ProductRead, RatingField
from config.api.reads.projection import compile_projection
from config.api.reads.selections import build_selection
from config.logs import REQUEST_ID
from exports.formats.encoders import list_columns
from exports.rows import chunks as rows
from tests.catalog.test_products import walk_pages
from tests.exports.conftest import make_many, read_body
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

LIST = "/api/v1/products/"
CSV = "/api/v1/exports/products.csv"
NDJSON = "/api/v1/exports/products.ndjson"
BOTH = pytest.mark.parametrize("url", [CSV, NDJSON])


def read_ndjson(client: APIClient, query: dict[str, Any] | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    lines = [json.loads(line) for line in read_body(client.get(NDJSON, query)).splitlines()]
    return lines[:-1], lines[-1]


def read_csv(client: APIClient, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    text = read_body(client.get(CSV, query)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    # JSON as its database writes it, with blanks or without.
    return [row | {"attributes": json.loads(row["attributes"])} if "attributes" in row else row for row in rows]


def show_as_cell(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
    return value if isinstance(value, dict) else str(value)


@pytest.fixture
def worst_rows() -> list[Product]:
    """Seven products, with everything that is hard to write."""
    return [
        make_product(
            sku='comma, "quote"',
            title="Line\r\nbreak; tab\there, é 😀 \u2028",
            brand=make_brand("Acme"),
            category=make_category("Food", "Tea"),
            price="9999999999.99",
            compare_at_price="0.00",
            rating="4.50",
            attributes={"size": 4.5, "tags": ["a", 'b"'], "é": None},
        ),
        make_product(brand=None, rating=0, stock=0, images=0),
        make_product(description="Long. " * 100, images=3, variants=2),
        *(make_product(brand=make_brand("Acme")) for _ in range(4)),
    ]


# -- who ----------------------------------------------------------------------------------------------------------


@BOTH
def test_a_stranger_is_asked_to_sign_in(url: str, client: APIClient) -> None:
    answer = client.get(url)
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert answer["WWW-Authenticate"] == "Token"
    assert client.head(url).status_code == 401


def test_drafts_are_in_a_staff_export_alone(caller: APIClient, staff: APIClient) -> None:
    active, draft = make_product(), make_product(status="draft")
    assert [row["id"] for row in read_ndjson(caller)[0]] == [active.pk]
    assert [row["id"] for row in read_ndjson(staff)[0]] == [active.pk, draft.pk]
    assert len(read_csv(caller)) == 1


# -- what ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks", "worst_rows")
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"fields": "id,title,description"},
        {"omit": "attributes,id"},
        {"expand": "brand,category,images,variants.stock"},
        {"brand": "acme", "fields": "id,brand"},
    ],
)
def test_ndjson_has_the_rows_of_the_list(query: dict[str, str], caller: APIClient) -> None:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    listed = list(walk_pages(caller, f"{LIST}?page_size=2&ordering=created_at&{asked}"))
    exported, end = read_ndjson(caller, query)
    assert exported == listed
    assert end["rows"] == len(listed) > 0


@pytest.mark.usefixtures("small_chunks", "worst_rows")
@pytest.mark.parametrize("query", [{}, {"fields": "id,title,description,in_stock"}, {"omit": "sku"}])
def test_csv_has_the_rows_of_the_list(query: dict[str, str], caller: APIClient) -> None:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    listed = list(walk_pages(caller, f"{LIST}?page_size=2&ordering=created_at&{asked}"))
    exported = read_csv(caller, query)
    rows = listed if "fields" in query else [listed_row | name_links(listed_row) for listed_row in listed]
    assert exported == [{name: show_as_cell(value) for name, value in row.items()} for row in rows]
    assert list(exported[0]) == (query["fields"].split(",") if "fields" in query else list(rows[0]))


def name_links(row: dict[str, Any]) -> dict[str, Any]:
    """What a table has in place of the slugs of brand and category, and beside them."""
    brand = Brand.objects.get(slug=row["brand"]).name if row["brand"] else None
    category = Category.objects.get(slug=row["category"]).breadcrumb if row["category"] else None
    return {"brand": brand, "category": category, "brand_slug": row["brand"], "category_slug": row["category"]}


def test_an_empty_export_is_a_header_or_a_trailer(caller: APIClient) -> None:
    assert read_body(caller.get(CSV, {"fields": "sku,id"})) == b"sku,id\n"
    assert read_ndjson(caller) == (
        [],
        {"_end": True, "rows": 0, "sha256": hashlib.sha256().hexdigest(), "last_id": 0, "changes_cursor": "0"},
    )


@pytest.mark.usefixtures("small_chunks")
def test_the_trailer_proves_every_byte_before_it(caller: APIClient) -> None:
    products = make_many(7)
    body = read_body(caller.get(NDJSON))
    *lines, last = body.splitlines(keepends=True)
    end = json.loads(last)
    assert last.startswith(b'{"_end":true,')
    assert last.endswith(b"}\n")
    assert end["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert (end["rows"], end["last_id"]) == (7, products[-1].pk)


@pytest.mark.usefixtures("small_chunks")
def test_an_export_goes_on_after_an_id(caller: APIClient) -> None:
    products = make_many(7)
    after = products[1].pk
    exported, end = read_ndjson(caller, {"after": after})
    assert [row["id"] for row in exported] == [product.pk for product in products[2:]]
    assert [row["id"] for row in read_csv(caller, {"after": after})] == [str(product.pk) for product in products[2:]]
    assert read_ndjson(caller, {"after": end["last_id"]})[1] | {"sha256": ""} == end | {"rows": 0, "sha256": ""}


def test_the_filters_are_those_of_the_list(caller: APIClient) -> None:
    Attribute.objects.create(name="color")
    make_product(sku="chair", title="Chair", price="80")
    make_product(sku="tea", title="Ched Tea", category=make_category("Food", "Tea"), attributes={"color": "green"})
    for query in ({"category": "food"}, {"attr.color": "green"}, {"price_max": "79.99"}, {"search": "ched"}):
        assert [row["sku"] for row in read_ndjson(caller, query)[0]] == ["tea"]


def test_search_hits_come_by_id(caller: APIClient) -> None:
    make_product(sku="second", title="Chair", description="A lamp stands beside it.")
    make_product(sku="first", title="Lamp")
    assert [row["sku"] for row in read_csv(caller, {"search": "lamp"})] == ["second", "first"]


def test_a_search_that_would_lose_hits_is_refused(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        make_product(title="Lamp")
    monkeypatch.setattr("catalog.exporting.SEARCH_HITS", 3)
    for words in ("lamp", "amp"):
        answer = caller.get(NDJSON, {"search": words})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
    make_product(title="Chair")
    for words in ("chair", "hair"):
        assert len(read_ndjson(caller, {"search": words})[0]) == 1


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "query", "pointer"),
    [
        (CSV, {"prise": "3"}, "?prise"),
        (CSV, {"ordering": "price"}, "?ordering"),
        (CSV, {"page": "2"}, "?page"),
        (NDJSON, {"raw": "1"}, "?raw"),
        (CSV, {"raw": "yes"}, "?raw"),
        (CSV, {"after": "-1"}, "?after"),
        (NDJSON, {"after": "x"}, "?after"),
        (NDJSON, {"price_min": "x"}, "?price_min"),
        (NDJSON, {"fields": "nothing"}, "?fields"),
        (CSV, {"fields": "id", "omit": "id"}, "?omit"),
        (NDJSON, {"expand": "nothing"}, "?expand"),
        (CSV, {"expand": "brand"}, "?expand"),
        (CSV, {"expand": "images"}, "?expand"),
        (NDJSON, {"attr.nothing": "3"}, "?attr.nothing"),
    ],
)
def test_a_bad_parameter_is_named_before_the_first_byte(
    url: str, query: dict[str, str], pointer: str, caller: APIClient
) -> None:
    answer = caller.get(url, query)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert caller.head(url, query).status_code == 400


def test_a_csv_that_would_be_nested_is_sent_to_ndjson(caller: APIClient) -> None:
    assert "products.ndjson" in caller.get(CSV, {"expand": "variants"}).json()["hint"]


@BOTH
def test_a_write_is_no_method_of_an_export(url: str, caller: APIClient) -> None:
    answer = caller.post(url)
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")


# -- risky cells --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(first: str, caller: APIClient) -> None:
    make_product(sku=f"{first}1+1", title=f"{first}cmd|' /C calc'!A0")
    [row] = read_csv(caller)
    assert (row["sku"], row["title"]) == (f"'{first}1+1", f"'{first}cmd|' /C calc'!A0")
    [raw] = read_csv(caller, {"raw": "1"})
    assert (raw["sku"], raw["title"]) == (f"{first}1+1", f"{first}cmd|' /C calc'!A0")
    assert read_csv(caller, {"raw": "0"}) == [row]


def test_a_cell_with_a_risky_sign_inside_stays(caller: APIClient) -> None:
    make_product(sku="A-1", title="2+2=4 @home")
    [row] = read_csv(caller)
    assert (row["sku"], row["title"]) == ("A-1", "2+2=4 @home")


def test_only_text_of_a_person_is_guarded() -> None:
    columns = list_columns(ProductRead, build_selection(ProductRead))
    text = {column.name for column in columns if column.kind == "text"}
    assert text == {
        "sku", "slug", "title", "brand", "category", "status", "currency", "image_url", "images_url", "variants_url",
        "url",
    }  # fmt: skip


def test_a_negative_number_stays_a_number(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_product(rating="4.50")
    monkeypatch.setattr(RatingField, "database_expression", "-{column}")
    compile_projection.cache_clear()
    assert read_csv(caller, {"fields": "rating"}) == [{"rating": "-4.50"}]
    compile_projection.cache_clear()


# -- headers, compression -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "type_", "name"),
    [(CSV, "text/csv; charset=utf-8", "products.csv"), (NDJSON, "application/x-ndjson", "products.ndjson")],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/csv", "image/png"])
def test_the_path_names_the_format(url: str, type_: str, name: str, accept: str, caller: APIClient) -> None:
    answer = caller.get(url, HTTP_ACCEPT=accept)
    assert answer.status_code == 200
    assert answer["Content-Type"] == type_
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Accel-Buffering"] == "no"
    assert "Accept-Encoding" in answer["Vary"]
    assert "Content-Length" not in answer
    read_body(answer)


@pytest.mark.parametrize("accept", ["gzip", "br;q=0.4, GZIP;q=0.5", "x-gzip", "gzip ; q=1, *;q=0"])
def test_a_compressed_stream_is_one_member(accept: str, caller: APIClient) -> None:
    make_many(700)
    plain = read_body(caller.get(NDJSON))
    answer = caller.get(NDJSON, HTTP_ACCEPT_ENCODING=accept)
    assert answer["Content-Encoding"] == "gzip"
    chunks = list(answer)
    packer = zlib.decompressobj(16 + zlib.MAX_WBITS)
    # Each chunk is readable as it comes.
    assert plain.startswith(packer.decompress(chunks[0]))
    assert len(chunks) > 2
    rest = b"".join(chunks[1:])
    packer.decompress(rest)
    assert packer.eof
    assert packer.unused_data == b""
    assert gzip.decompress(chunks[0] + rest) == plain


@pytest.mark.parametrize(
    "accept",
    ["", "identity", "gzip;q=0", "gzip; q=0.0, deflate", "*;q=0", "gzip;q=x", "identity;q=0", "identity, br;q=0.5"],
)
def test_a_stream_is_plain_for_who_takes_no_coding(accept: str, caller: APIClient) -> None:
    make_many(3)
    answer = caller.get(NDJSON, HTTP_ACCEPT_ENCODING=accept)
    assert "Content-Encoding" not in answer
    assert b'"_end"' in read_body(answer)


@BOTH
def test_head_says_the_headers_and_reads_no_row(url: str, caller: APIClient) -> None:
    make_many(3)
    with CaptureQueriesContext(connection) as captured:
        answer = caller.head(url, HTTP_ACCEPT_ENCODING="gzip")
        assert read_body(answer) == b""
    assert [query["sql"] for query in captured if "catalog_product" in query["sql"]] == []
    assert answer.status_code == 200
    full = caller.get(url, HTTP_ACCEPT_ENCODING="gzip")
    names = ("Content-Type", "Content-Disposition", "Content-Encoding", "Cache-Control", "X-Accel-Buffering")
    assert [answer[name] for name in names] == [full[name] for name in names]
    assert "Content-Length" not in answer
    read_body(full)


# -- the command --------------------------------------------------------------------------------------------------


def test_a_csv_that_is_imported_again_changes_nothing(
    worst_rows: list[Product], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # An import makes one line of a title, and drops an attribute that is null.
    Product.objects.filter(pk=worst_rows[0].pk).update(title='=1+1, "é" 😀', attributes={"size": 4.5})
    file = tmp_path / "products.csv"
    call_command("export", "products", format="csv", output=str(file), raw=True)
    before = list(Product.objects.order_by("pk").values()), list(Variant.objects.order_by("pk").values())
    capsys.readouterr()
    call_command("import_products", str(file), json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["products"]["unchanged"] == 7, json.dumps(report)
    assert (list(Product.objects.order_by("pk").values()), list(Variant.objects.order_by("pk").values())) == before


def test_the_command_writes_what_the_stream_writes(caller: APIClient, tmp_path: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "http://testserver"
    make_many(3)
    for name in ("csv", "ndjson"):
        file = tmp_path / f"products.{name}"
        call_command("export", "products", format=name, output=str(file))
        answer = caller.get(f"/api/v1/exports/products.{name}")
        assert file.read_bytes() == read_body(answer)


def test_standard_output_is_the_file_alone(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    make_many(1)
    call_command("export", "products", format="csv", output="-", fields="sku", json=True)
    said = capfdbinary.readouterr()
    assert said.out == b"sku\nP0\n"
    assert json.loads(said.err)["rows"] == 1


def test_a_command_that_fails_leaves_the_old_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "products.csv"
    file.write_bytes(b"old")

    def fail(*args: Any) -> None:
        raise RuntimeError("lost")

    make_many(1)
    monkeypatch.setattr(rows, "read_chunk", fail)
    with pytest.raises(RuntimeError, match="lost"):
        call_command("export", "products", format="csv", output=str(file))
    assert [path.name for path in tmp_path.iterdir()] == ["products.csv"]
    assert file.read_bytes() == b"old"


# -- the log ------------------------------------------------------------------------------------------------------


class Lines(logging.Handler):
    """What is logged, with the request id of the moment."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(vars(record) | {"request_id": REQUEST_ID.get()})


@pytest.fixture
def lines() -> Any:
    logger, handler = logging.getLogger("tenfold.exports"), Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_whole_export_is_a_line_under_its_request(caller: APIClient, lines: list[dict[str, Any]]) -> None:
    last = make_many(2)[-1].pk
    body = read_body(caller.get(CSV, HTTP_X_REQUEST_ID="export-7"))
    [line] = lines
    figures = {name: line[name] for name in ("export", "status", "rows", "bytes", "last_id", "request_id")}
    assert figures == {
        "export": "products.csv",
        "status": "complete",
        "rows": 2,
        "bytes": len(body),
        "last_id": last,
        "request_id": "export-7",
    }
    assert line["seconds"] >= 0


def test_a_client_that_leaves_is_a_cut(caller: APIClient, lines: list[dict[str, Any]]) -> None:
    make_many(700)
    answer = caller.get(NDJSON, HTTP_X_REQUEST_ID="export-8")
    next(iter(answer))
    answer.close()
    [line] = lines
    assert (line["status"], line["request_id"]) == ("cut", "export-8")
    assert 0 < line["rows"] <= 700


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_export_that_fails_has_no_end(
    encoding: str, caller: APIClient, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(7)
    read, calls = rows.read_chunk, []

    def fail_late(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("lost")
        return read(*args)

    monkeypatch.setattr(rows, "read_chunk", fail_late)
    answer = caller.get(NDJSON, HTTP_ACCEPT_ENCODING=encoding, HTTP_X_REQUEST_ID="export-9")
    body = bytearray()
    with pytest.raises(RuntimeError, match="lost"):
        collections.deque(map(body.extend, answer), maxlen=0)
    assert body
    if encoding == "gzip":
        packer = zlib.decompressobj(16 + zlib.MAX_WBITS)
        body = bytearray(packer.decompress(body))
        assert not packer.eof
    assert b"_end" not in body
    assert [line["status"] for line in lines if "status" in line] == ["cut"]
    assert {line["request_id"] for line in lines} == {"export-9"}
    assert any(line["exc_info"] for line in lines)


# -- what clients ask for ------------------------------------------------------------------------------------------


def test_a_stream_without_its_trailer_is_rows_alone(staff: APIClient) -> None:
    make_many(3)
    lines = read_body(staff.get(NDJSON, {"trailer": "0", "fields": "sku"})).splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"sku"}] * 3
    assert b"_end" in read_body(staff.get(NDJSON, {"trailer": "1"})).splitlines()[-1]
    assert staff.get(NDJSON, {"trailer": "no"}).json()["code"] == "invalid_parameter"
    assert staff.get(CSV, {"trailer": "0"}).json()["code"] == "unknown_parameter"


def test_columns_follow_the_order_of_fields(staff: APIClient) -> None:
    make_product(sku="A", title="T")
    query = "fields=title,sku&fields=id"
    [header, row] = read_body(staff.get(f"{CSV}?{query}")).decode().splitlines()
    assert (header, row.split(",")[:2]) == ("title,sku,id", ["T", "A"])
    assert list(json.loads(read_body(staff.get(f"{NDJSON}?{query}")).splitlines()[0])) == ["title", "sku", "id"]


def test_a_slash_behind_the_suffix_is_no_other_address(staff: APIClient) -> None:
    make_product()
    assert read_body(staff.get(f"{CSV}/")) == read_body(staff.get(CSV))
    assert staff.get("/api/v1/exports/nothing.csv/").status_code == 404
