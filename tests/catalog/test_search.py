"""`?search=`: words by their beginnings and other forms, parts of words where no active product has any.

Both databases give the same.
"""

import json
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.management.base import CommandError
from django.db import connection
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.changes.log import number_changes
from catalog.models import Attribute, Brand, Change, Product, ProductText
from catalog.search import documents, queries
from catalog.search.documents import fill_documents
from catalog.search.plurals import list_forms
from catalog.search.queries import SEARCH_HITS
from catalog.search.words import find_words
from config.api.database.statements import Statement
from config.api.database.time_limits import TimeLimit
from config.api.database.words import list_compounds
from config.api.problems.errors import DEAR_MS, SearchTooDear
from config.api.reads.counting import compile_count, walk_plan
from config.api.reads.plans import PLANS
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db

postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL: needs TEST_BACKEND=production")

URL = "/api/v1/products/"


def find_skus(caller: APIClient, words: str, **query: str) -> list[str]:
    answer = caller.get(URL, {"search": words, "fields": "sku", **query})
    assert answer.status_code == 200, answer.content
    return [row["sku"] for row in answer.json()["results"]]


@pytest.fixture
def shelf(db: None) -> None:
    make_product(sku="OIL-77001", title="Coconut oil", brand=make_brand("Tidewater"))
    make_product(sku="SOAP-1", title="Soap of coconuts and of many other things", description="Washes.")
    make_product(sku="LAMP-1", title="Lamp", brand=make_brand("Ölmühle"))


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("conut", ["OIL-77001", "SOAP-1"]),
        ("ONUT", ["OIL-77001", "SOAP-1"]),
        ("conut il", ["OIL-77001", "SOAP-1"]),  # too short to look for
        ("conut ewat", ["OIL-77001"]),
        ("7700", ["OIL-77001"]),
        ("oap-1", ["SOAP-1"]),
        ("lmüh", ["LAMP-1"]),
        ("LMÜH", ["LAMP-1"]),
        ("conut lmüh", []),
        ("ashes", []),  # the description isn't looked into
        ("il", []),
        ("%onut", ["OIL-77001", "SOAP-1"]),  # signs part words
        ("_onut", ["OIL-77001", "SOAP-1"]),
        ("n%t", []),
    ],
)
def test_parts_of_words_are_found_where_no_word_begins_so(words: str, found: list[str], client: APIClient) -> None:
    assert find_skus(client, words) == found


@pytest.mark.usefixtures("shelf")
def test_parts_are_not_searched_if_a_word_begins_so(client: APIClient) -> None:
    assert find_skus(client, "oil") == ["OIL-77001"]
    make_product(sku="B", title="Conut spread")
    assert find_skus(client, "conut") == ["B"]


@pytest.mark.usefixtures("shelf")
def test_a_draft_does_not_decide_what_the_public_finds(client: APIClient, staff: APIClient) -> None:
    make_product(sku="DRAFT", title="Conut", status="draft")
    assert find_skus(client, "conut") == ["OIL-77001", "SOAP-1"]
    assert find_skus(staff, "conut") == ["DRAFT", "OIL-77001", "SOAP-1"]


@pytest.mark.usefixtures("shelf")
def test_other_filters_and_orderings_stand_beside_parts(client: APIClient) -> None:
    assert find_skus(client, "conut", brand="tidewater") == ["OIL-77001"]
    assert find_skus(client, "conut", ordering="-created_at") == ["SOAP-1", "OIL-77001"]
    assert client.get(URL, {"search": "conut"}).json()["count"] == 2


@pytest.mark.usefixtures("shelf")
def test_parts_follow_every_change() -> None:
    Product.objects.filter(sku="OIL-77001").update(sku="OIL-88002", title="Almond oil")
    assert not Product.objects.matching("7700").exists()
    assert Product.objects.matching("8002 lmon").get().sku == "OIL-88002"
    Brand.objects.filter(slug="tidewater").update(name="Driftwood")
    assert not Product.objects.matching("dewater").exists()
    assert Product.objects.matching("iftwoo 8002").get().sku == "OIL-88002"
    Product.objects.filter(sku="OIL-88002").update(brand=None)
    assert not Product.objects.matching("iftwoo").exists()
    assert Product.objects.matching("lmon").get().sku == "OIL-88002"
    Product.objects.filter(sku="OIL-88002").delete()
    assert not Product.objects.matching("lmon").exists()


@postgresql
def test_a_price_writes_no_text() -> None:
    product = make_product(title="Coconut oil")
    rows = ProductText.objects.filter(pk=product.pk).annotate(place=RawSQL("ctid::text", ())).values_list("place")
    before = rows.get()
    product.variants.update(price=3)
    assert rows.get() == before
    Product.objects.filter(pk=product.pk).update(title="Oil")
    assert rows.get() != before


def test_a_letter_beside_other_words_is_a_word(client: APIClient) -> None:
    make_product(sku="C", title="Vitamin C Serum")
    make_product(sku="CREAM", title="Vitamin Cream")
    assert find_skus(client, "vitamin c") == ["C"]
    assert sorted(find_skus(client, "c")) == ["C", "CREAM"]
    assert find_skus(client, "c vitamins") == ["C"]


@pytest.mark.usefixtures("shelf")
def test_a_page_of_parts_is_one_statement_and_its_plan_is_kept(client: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert find_skus(client, "conut", count="none") == ["OIL-77001", "SOAP-1"]
    # 1. the brands that have such words in their names
    # 2. the page: both ways stand in it
    assert len(queries) == 2, [query["sql"] for query in queries]
    assert len(PLANS) == 1


@postgresql
@pytest.mark.usefixtures("shelf")
def test_the_first_page_finds_and_counts_its_hits_at_once(client: APIClient, staff: APIClient) -> None:
    Product.objects.filter(sku="SOAP-1").update(status="draft")
    for caller, number in ((staff, 2), (client, 1)):
        with CaptureQueriesContext(connection) as queries:
            first = caller.get(URL, {"search": "coconut", "page_size": 1}).json()
        assert [query["sql"].count("WITH whole") for query in queries if "tsquery" in query["sql"]] == [1]
        second = caller.get(URL, {"search": "coconut", "page_size": 1, "page": 2}).json()
        by_price = caller.get(URL, {"search": "coconut", "ordering": "price", "count": "bounded"}).json()
        assert {page["count"] for page in (first, second, by_price)} == {number}


def test_many_words_are_one_search(client: APIClient) -> None:
    make_product(sku="A", title="Coconut oil")
    assert find_skus(client, " ".join(["conut"] * 300)) == ["A"]
    assert find_skus(client, " ".join(f"{number}word" for number in range(10, 20))) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tea Tea TEA", ["tea"]),
        ("tea teapot", ["teapot"]),
        ("teapot t te TEA pot", ["teapot", "pot"]),
        ("straße STRASSE stra", ["strasse"]),
        ("Café CAFE\u0301", ["cafe"]),
        ("हिन्दी", ["हिन्दी"]),
        ("½ cup, 5m²", ["cup", "5m"]),
        ("a b a c b", ["a", "b", "c"]),
        ("a b c d e f g h i j k l cotton", ["cotton"]),  # of more than ten
        (" ".join(f"{'x' * length}" for length in range(1, 200)), ["x" * 199]),
    ],
)
def test_words_that_repeat_or_begin_another_are_dropped(text: str, words: list[str]) -> None:
    assert sorted(find_words(text)) == sorted(words)


def test_more_than_ten_words_are_refused(client: APIClient, staff: APIClient) -> None:
    text = " ".join("abcdefghijk")
    problem = client.get(URL, {"search": text}).json()
    assert (problem["status"], problem["code"]) == (400, "invalid_parameter")
    assert problem["errors"][0] == {
        "pointer": "?search", "code": "invalid_parameter", "detail": "It has 11 words; 10 is the most.",
    }  # fmt: skip
    assert problem["hint"] == "Leave out some."
    assert client.get(URL, {"search": text[:-1]}).status_code == 200
    # 12,500 of them are counted at once.
    assert client.get(URL, {"search": " ".join(map(chr, range(0x4E00, 0x4E00 + 12_000)))}).status_code == 400


def test_a_search_has_a_time_limit() -> None:
    for rows in (Product.objects.matching("tea"), Product.objects.matching("tea").by_rank("tea")):
        statement = Statement.compile(rows.values("pk"))
        assert statement is not None
        assert statement.time_limit == TimeLimit(DEAR_MS, SearchTooDear, retry_ms=DEAR_MS // 2)
        counted = compile_count(rows, 10)
        assert counted is not None
        assert counted.time_limit == statement.time_limit
    plain = Statement.compile(Product.objects.values("pk"))
    assert plain is not None
    assert plain.time_limit is None


# -- accents, other forms, joined words, codes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "asked"),
    [
        ("Café Łódź", "cafe lodz"), ("Cafe Lodz", "CAFÉ ŁÓDŹ"), ("Cafe\u0301", "caf\u00e9"), ("Straße", "strasse"),
        ("Strasse", "STRASSE straße"), ("Ærø", "aero"), ("ΣΊΣΥΦΟΣ", "σισυφος"), ("Ёлка", "елка"), ("हिन्दी", "हिन्"),
        ("Chair", "chairs"), ("Chairs", "chair"), ("Box", "boxes"), ("Battery", "batteries"), ("Batteries", "battery"),
        ("Bookshelf", "bookshelves"), ("Knives", "knife"), ("Women", "woman"), ("Hoodie", "hoodies"), ("Tie", "ties"),
        ("T-Shirt", "tshirt"), ("T-Shirts", "tshirt"), ("Tshirt", "t-shirt"), ("T Shirt", "t-shirts"),
        ("Tshirts", "T shirt"), ("Tshirt", "t shirts"), ("Coffee Table", "coffeetable"), ("E-Bike", "ebikes"),
        ("Coffeetable", "coffee table"), ("Red Tshirt Large", "large t shirt"), ("C++ Primer", "c++"),
        ("C# Primer", "primer C#"), ("Wi-Fi 6", "wifi"), ("Women\u2019s “Tee”", "womens tee"), ("5m² Rug", "5m rug"),
    ],
)  # fmt: skip
def test_a_title_is_found_by(title: str, asked: str) -> None:
    wanted = make_product(sku="WANTED-1", title=title)
    make_product(sku="OTHER-2", title="Lamp")
    assert list(Product.objects.matching(asked)) == [wanted]
    assert list(Product.objects.matching(asked).by_rank(asked)) == [wanted]


@pytest.mark.parametrize(
    ("title", "asked"),
    [("Car Tire", "cart"), ("New", "news"), ("Car Park", "carpa")],
)
def test_other_words_are_not_taken_for_a_form(title: str, asked: str) -> None:
    make_product(sku="A", title=title)
    assert not Product.objects.matching(asked).exists()


def test_forms_of_words_depend_on_the_language(settings: Any) -> None:
    make_product(title="Chair")
    assert Product.objects.matching("chairs").exists()
    settings.SEARCH_LANGUAGE = "simple"
    assert not Product.objects.matching("chairs").exists()


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("chairs", {"chair"}),
        ("glass", {"glasses"}),
        ("bus", {"buses"}),
        ("64gb", set()),
        ("стул", set()),
        ("tv", set()),
    ],
)  # fmt: skip
def test_forms_of_a_word(word: str, forms: set[str]) -> None:
    assert list_forms(word) == forms


def test_a_word_with_signs_is_not_lost_among_words_that_begin_so(client: APIClient) -> None:
    for number in range(20):
        make_product(title=f"C {number}", images=0)
    make_product(sku="BOOK", title="Primer of C++", images=0)
    hits = "catalog.search.queries.SEARCH_HITS"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hits, 5)
        assert find_skus(client, "c++")[0] == "BOOK"
        assert find_skus(client, "c++ of")[0] == "BOOK"


@pytest.mark.parametrize("code", ["4006381333931", "40063813", "TS-RED.9/L", "ts-red.9", "TS-"])
def test_a_variant_is_found_by_its_codes(code: str, client: APIClient) -> None:
    wanted = make_product(sku="WANTED")
    wanted.variants.update(sku="TS-RED.9/L", barcode="4006381333931")
    make_product(sku="OTHER").variants.update(sku="XS%RED", barcode="5006381333931")
    assert find_skus(client, code) == ["WANTED"]


def test_signs_of_patterns_are_taken_as_they_are(client: APIClient) -> None:
    make_product(sku="A").variants.update(sku="X-A%B_C*[D]?E")
    assert find_skus(client, "X-A%B_C*[D]?E") == ["A"]
    assert find_skus(client, "X-%B") == []
    assert find_skus(client, "X-A?B") == []


# -- brands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["acme chair", "chairs acme", "acm oak", "acme", "tools chair"])
def test_words_may_be_of_the_brand_and_of_the_title(asked: str) -> None:
    wanted = make_product(sku="W", title="Oak Chair", brand=make_brand("Acme Tools"))
    make_product(sku="O", title="Table", brand=make_brand("Other"))
    assert list(Product.objects.matching(asked)) == [wanted]


def test_a_brand_is_renamed_without_a_write_to_its_products(client: APIClient) -> None:
    product = make_product(title="Chair", brand=make_brand("Acme"))
    number_changes()
    logged = Change.objects.count()
    assert find_skus(client, "acme chair") == [product.sku]
    Brand.objects.update(name="Ferro")
    assert find_skus(client, "acme chair") == []
    assert find_skus(client, "ferro chair") == [product.sku]
    number_changes()
    assert [change.entity for change in Change.objects.order_by("pk")[logged:]] == ["brand"]


def test_many_brands_with_a_word_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.search.words.MOST_BRANDS", 2)
    for number in range(4):
        make_product(title="Lamp", brand=make_brand(f"Acme {number}"))
    assert Product.objects.matching("acme").count() == 2
    # Those that have most of the words come first.
    assert Product.objects.matching("acme 3").get().brand == make_brand("Acme 3")


# -- documents of rows that were there before ----------------------------------------------------------------------

UNFILLED = {
    "postgresql": ("UPDATE catalog_producttext SET document = NULL, parts = NULL",),
    "sqlite": ("DELETE FROM catalog_document", "DELETE FROM catalog_parts"),
}


def empty_documents() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in UNFILLED[connection.vendor]:
            cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_a_fill_of_documents_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    products = [make_product(title=f"Café {number}", description="Über", images=0) for number in range(7)]
    empty_documents()
    number_changes()
    logged, versions = Change.objects.count(), list(Product.objects.order_by("pk").values("version", "updated_at"))
    find_next, calls = documents.find_next, []

    def find_twice(*args: Any) -> list[int]:
        calls.append(args)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return find_next(*args)

    with monkeypatch.context() as patch:
        patch.setattr(documents, "find_next", find_twice)
        with pytest.raises(KeyboardInterrupt):
            fill_documents(connection, batch=2)
    assert Product.objects.matching("cafe").count() == 4
    products[6].delete()
    Product.objects.filter(pk=products[5].pk).update(title="Tea")
    fill_documents(connection, batch=2)
    assert set(Product.objects.matching("cafe uber")) == set(products[:5])
    assert set(Product.objects.matching("tea uber")) == {products[5]}
    assert fill_documents(connection) == 0
    number_changes()
    assert not Change.objects.filter(entity="text", op="update").exists()
    assert list(Product.objects.exclude(title="Tea").order_by("pk").values("version", "updated_at")) == versions[:5]
    assert Change.objects.count() > logged


@postgresql
@pytest.mark.parametrize(
    "text",
    [
        "lmp-1 t-shirt",
        "a",
        "",
        "c++ and c#!",
        "women\u2019s “tee” (½ m²)",
        "cafe: l'eau & co.",
        "a+b",
        "x" * 300 + " y",
        "हिन्दी चाय",
    ],
)  # fmt: skip
def test_postgresql_joins_words_as_python_does(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT catalog_compounds(tenfold_fold(%s))", [text])
        assert cursor.fetchone()[0] == [f"={compound}" for compound in list_compounds(text)]


# -- at size ------------------------------------------------------------------------------------------------------

ROWS = 20_000

FILL_PRODUCTS = """
INSERT INTO catalog_product (sku, slug, title, status, currency, price, in_stock, rating, image_url, attributes,
                             version, created_at, updated_at)
SELECT 'S' || n, 's' || n, 'Title' || (n * 7919) %% 1000 || ' x' || md5(n::text), 'active', 'USD', 1, true, 1, '', '{}',
       1, now(), now()
FROM generate_series(1, %s) n
"""

FILL_TEXTS = """
INSERT INTO catalog_producttext (product_id, description, seo_title, seo_description, document, parts)
SELECT id, repeat(md5(sku), 20), '', '', catalog_make_document(lower(sku || ' ' || title), '', NULL),
    lower(sku || ' ' || title)
FROM catalog_product
"""


@pytest.fixture
def filled(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # triggers take ten times as long
        cursor.execute(FILL_PRODUCTS, [ROWS])
        cursor.execute(FILL_TEXTS)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        # What the table's autovacuum does: until then an index's new entries are a list to be read from end to end.
        cursor.execute(
            "SELECT gin_clean_pending_list('producttext_document'), gin_clean_pending_list('producttext_parts')"
        )
        cursor.execute("ANALYZE catalog_product, catalog_producttext")


def list_scans(words: str) -> set[str]:
    """Each index or table that a search by rank did read, as `Bitmap Index Scan producttext_parts`."""
    rows = Product.objects.only_active().matching(words).by_rank(words)
    [plan] = json.loads(rows.explain(format="json", analyze=True))
    nodes = [node for node in walk_plan(plan["Plan"]) if node["Actual Loops"] > 0]
    return {f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name', '')}" for node in nodes}


BEGINNINGS, PARTS = "Bitmap Index Scan producttext_document", "Bitmap Index Scan producttext_parts"


READ = {
    "title77": {BEGINNINGS},
    "itle77": {BEGINNINGS, PARTS},
    "itle77 xab": {BEGINNINGS, PARTS},
    "nothing": {BEGINNINGS, PARTS},
    "a½½": {BEGINNINGS},
    "zz": {BEGINNINGS},
}


# One test for all words, since the rows take three seconds.
@postgresql
@pytest.mark.usefixtures("filled")
def test_each_way_is_read_from_its_index_and_parts_only_where_beginnings_find_nothing() -> None:
    scans = {words: list_scans(words) for words in READ}
    assert {words: found & {BEGINNINGS, PARTS} for words, found in scans.items()} == READ
    assert not [words for words, found in scans.items() if "Seq Scan catalog_producttext" in found]


@postgresql
@pytest.mark.usefixtures("filled")
def test_no_more_than_the_first_hits_are_ranked() -> None:
    assert Product.objects.matching("itle").count() == SEARCH_HITS


@postgresql
def test_beginnings_are_looked_for_if_whole_words_find_too_few(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, title in enumerate(("Oak Chair", "Oak Chairs", "Oaken Chair")):
        make_product(sku=f"W{number}", title=title)
    assert sorted(find_skus(client, "oak chair")) == ["W0", "W1", "W2"]
    monkeypatch.setattr("catalog.search.queries.SEARCH_HITS", 2)
    assert sorted(find_skus(client, "oak chair")) == ["W0", "W1"]


# -- the migration ------------------------------------------------------------------------------------------------

MIGRATION = import_module("catalog.migrations.0005_partial_words")


@postgresql
def test_a_database_without_the_extension_is_told_what_to_do() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        cursor.execute("CREATE ROLE tenfold_guest")
        cursor.execute("GRANT tenfold_guest TO CURRENT_USER")
        cursor.execute("SET LOCAL ROLE tenfold_guest")
    with pytest.raises(CommandError, match="CREATE EXTENSION pg_trgm"):
        MIGRATION.create_trigrams(apps, connection.schema_editor())


def test_a_title_with_the_text_as_it_was_written_comes_first(client: APIClient) -> None:
    for number in range(5):
        make_product(title=f"C Handle, C Handbag, C Hand {number}", description="c hand c hand")
    make_product(sku="BOOK", title="The C++ Handbook")
    make_product(title="C Handbook")
    assert find_skus(client, "c++ hand")[0] == "BOOK"
    assert len(find_skus(client, "c++ hand")) == 7
    make_product(sku="HAND", title="C++ Hand", images=0)
    assert find_skus(client, "c++ hand")[:2] == ["HAND", "BOOK"]


@pytest.mark.parametrize(
    "words",
    ["oak", "oak C++", "OAK-1"],  # by beginnings, by signs, by the codes of variants
)
@pytest.mark.parametrize("query", [{"brand": "acme"}, {"attr.room": "hall"}, {"price_min": "50", "ordering": "-title"}])
def test_other_filters_are_asked_of_all_hits_of_a_common_word(
    words: str, query: dict[str, str], caller: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SEARCH_HITS", 3)
    Attribute.objects.create(name="room", type="text")
    for number in range(8):
        make_product(sku=f"OAK-1{number}", title="Oak chair C++", price="10.00")
    product = make_product(
        sku="OAK-19", title="Oak table C++", price="60.00", brand=make_brand("Acme"), attributes={"room": "hall"}
    )
    found = find_skus(caller, words, **query)
    assert found == [product.sku]
