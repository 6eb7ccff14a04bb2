"""Filters and orderings that an index serves are read in its order; what would sort much is refused."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from catalog.views.products import SERVED, SERVED_FOR_STAFF
from config.api.database.statements import Page, Statement
from config.api.reads import unserved
from config.api.reads.counting import walk_plan
from config.api.reads.plans import PLANS
from tests.factories import make_brand, make_category

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="PostgreSQL: needs TEST_BACKEND=production"),
]

URL = "/api/v1/products/"
ROWS = 20_000

FILL = """
INSERT INTO catalog_product (sku, slug, title, title_key, brand_id, category_id, status, currency, price, in_stock,
                             rating, image_url, attributes, version, created_at, updated_at)
SELECT 'S' || n, 's' || n, 'Title ' || (n * 7919) %% 1000, 'title ' || (n * 7919) %% 1000, %s, %s,
       CASE WHEN n %% 20 = 0 THEN 'draft' ELSE 'active' END,
       'USD', (n * 31) %% 5000, true, (n %% 500) / 100.0, '',
       '{}', 1, now() - n * interval '1 minute', now() - n * interval '2 minutes'
FROM generate_series(1, %s) n
"""

VALUES = {
    "brand": "acme",
    "category": "food",
    "status": "draft",
    "created_after": "2020-01-01T00:00:00Z",
    "created_before": "2100-01-01T00:00:00Z",
    "updated_since": "2020-01-01T00:00:00Z",
    "updated_before": "2100-01-01T00:00:00Z",
    "price_min": "1",
    "price_max": "4000",
}


@pytest.fixture
def filled(db: None) -> None:
    with connection.cursor() as cursor:
        # Triggers would write 20,000 search documents, which no plan here looks at.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(FILL, [make_brand("Acme").pk, make_category("Food").pk, ROWS])
        cursor.execute("ANALYZE catalog_product")


def find_nodes(caller: APIClient, query: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The nodes of the plan of the page that `caller` asks for."""
    plans = []

    def explain(statement: Statement, size: int, values: Sequence[Any] = ()) -> Page:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.parameters)
            plans.extend(cursor.fetchone()[0])
        return Page()

    monkeypatch.setattr(Statement, "fetch_page", explain)
    assert caller.get(URL, query).status_code == 200
    for node in walk_plan(plans[0]["Plan"]):
        yield f"{node['Node Type']} {node.get('Relation Name', '')}"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("sign", ["", "-"])
def test_each_served_pair_is_read_in_the_order_of_its_index(
    sign: str, client: APIClient, staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for caller, served in ((client, SERVED), (staff, SERVED_FOR_STAFF)):
        for narrow, column in sorted(served, key=str):
            query = {"ordering": f"{sign}{column}"} | ({narrow: VALUES[narrow]} if narrow else {})
            if caller is client and narrow == "status":
                query["status"] = "active"
            nodes = list(find_nodes(caller, query, monkeypatch))
            assert not [node for node in nodes if node.startswith(("Sort", "Seq Scan catalog_product"))], (query, nodes)


@pytest.mark.usefixtures("filled")
def test_an_ordering_that_sorts_too_much_is_refused_with_the_alternatives(
    client: APIClient, staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert staff.get(URL, {"ordering": "title"}).status_code == 200, "20,000 rows are read in no time"
    monkeypatch.setattr(unserved, "TRUSTED_COST", 500)
    PLANS.clear()
    assert client.get(URL, {"ordering": "title", "in_stock": "true"}).status_code == 200
    # The index by title is of active products only.
    answer = staff.get(URL, {"ordering": "title"})
    assert (answer.status_code, answer.json()["code"]) == (400, "sort_too_large")
    assert "created_at" in answer.json()["hint"]
    assert staff.get(URL, {"ordering": "title", "price_max": "100"}).status_code == 200


def test_products_have_no_index_for_beginnings_which_nothing_looks_for() -> None:
    """Django adds one to each unique text, and a write of a product would write it, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'catalog_product'")
        definitions = [text for (text,) in cursor.fetchall()]
    assert len(definitions) > 10
    assert not [text for text in definitions if "pattern_ops" in text]
