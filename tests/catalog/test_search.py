"""`?search=`: words by their beginnings, parts of words where no active product has any; the same on both databases."""

import json
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management.base import CommandError
from django.db import connection
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from catalog.models import Brand, Product, ProductText
from catalog.search import SEARCH_HITS, find_words
from config.api.database.statements import Statement
from config.api.database.time_limits import TimeLimit
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
        ("½½½", []),
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


@pytest.mark.usefixtures("shelf")
def test_a_page_of_parts_is_one_statement_and_its_plan_is_kept(client: APIClient) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert find_skus(client, "conut", count="none") == ["OIL-77001", "SOAP-1"]
    # The page: both ways stand in it.
    assert len(queries) == 1, [query["sql"] for query in queries]
    assert len(PLANS) == 1


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
        ("straße STRASSE stra", ["straße"]),
        ("a b a c b", ["a", "b", "c"]),
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
        assert statement.time_limit == TimeLimit(DEAR_MS, SearchTooDear)
        counted = compile_count(rows, 10)
        assert counted is not None
        assert counted.time_limit == statement.time_limit
    plain = Statement.compile(Product.objects.values("pk"))
    assert plain is not None
    assert plain.time_limit is None


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
INSERT INTO catalog_producttext (product_id, description, seo_title, seo_description, search, names)
SELECT id, repeat(md5(sku), 20), '', '', catalog_words(sku || ' ' || title), lower(sku || ' ' || title)
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
            "SELECT gin_clean_pending_list('producttext_search'), gin_clean_pending_list('producttext_names')"
        )
        cursor.execute("ANALYZE catalog_product, catalog_producttext")


def list_scans(words: str) -> set[str]:
    """Each index or table that a search by rank did read, as `Bitmap Index Scan producttext_names`."""
    rows = Product.objects.only_active().matching(words).by_rank(words)
    [plan] = json.loads(rows.explain(format="json", analyze=True))
    nodes = [node for node in walk_plan(plan["Plan"]) if node["Actual Loops"] > 0]
    return {f"{node['Node Type']} {node.get('Index Name') or node.get('Relation Name', '')}" for node in nodes}


BEGINNINGS, PARTS = "Bitmap Index Scan producttext_search", "Bitmap Index Scan producttext_names"


READ = {
    "title77": {BEGINNINGS},
    "itle77": {BEGINNINGS, PARTS},
    "itle77 xab": {BEGINNINGS, PARTS},
    "nothing": {BEGINNINGS, PARTS},
    "½½½": {BEGINNINGS},  # no trigram: the whole index
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
        MIGRATION.create_extension(apps, connection.schema_editor())


def test_a_title_with_the_text_as_it_was_written_comes_first(client: APIClient) -> None:
    for number in range(5):
        make_product(title=f"C Handle, C Handbag, C Hand {number}", description="c hand c hand")
    make_product(sku="BOOK", title="The C++ Handbook")
    make_product(title="C Handbook")
    assert find_skus(client, "c++ hand")[0] == "BOOK"
    assert len(find_skus(client, "c++ hand")) == 7
