"""The benchmark's own arithmetic, its data and what it takes from the server; no peer is started."""

import argparse
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from catalog.models import Product
from config.api.database import statements
from config.api.reads.plans import PLANS
from config.api.reads.stored_rows import find_unstored
from tests.benchmarks.agreement import Disagreement, check_admin, check_rows, read_rows
from tests.benchmarks.chart import draw_chart
from tests.benchmarks.contestants import ADMIN, CONTESTANTS, PAGE, PGBENCH, SERVERS
from tests.benchmarks.figures import MEMORY, PROMISES, Promise, compare, compare_all
from tests.benchmarks.load import LoadFailed, read_output, write_script
from tests.benchmarks.main import add_arguments, read_options
from tests.benchmarks.measure import Sample
from tests.benchmarks.probe import capture_statement, sign_cursor, sign_in
from tests.benchmarks.processes import read_cpu, read_memory
from tests.benchmarks.seed import SCRIPT, TABLES, describe_lack, fill_tables
from tests.benchmarks.storing import drop_stored
from tests.benchmarks.streaming import CSV
from tests.benchmarks.watching import PLAIN, SILENT
from tests.benchmarks.writing import make_prices, make_products

postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="the benchmark runs on PostgreSQL")

ROWS = 300

OUTPUT = """Running 2s test @ http://127.0.0.1:1/
  Latency Distribution
     50%  2.50ms
     99%  1.20s
  1000 requests in 2.00s, 1.00MB read
Requests/sec:    500.00
"""


def make_samples(*rates: float) -> list[Sample]:
    return [Sample(rate, 1000 / rate, 1.0, 0.5) for rate in rates]


def test_a_ratio_is_taken_within_each_round() -> None:
    # The second round was slow for both, and the ratio doesn't notice.
    samples = {"tenfold": make_samples(100, 50, 90), "DRF, tuned": make_samples(10, 5, 10)}
    figure = compare(samples, Promise("", "tenfold", "DRF, tuned", "rate", 9.5))
    assert (figure.value.median, figure.value.least, figure.value.most) == (10, 9, 10)
    assert figure.is_kept


def test_a_promised_figure_may_be_an_upper_limit() -> None:
    assert MEMORY.keeps(1.1)
    assert not MEMORY.keeps(1.2)


def test_what_was_not_measured_is_no_figure() -> None:
    names = [figure.promise.name for figure in compare_all({"tenfold": make_samples(1)}, {MEMORY: (105, 100)})]
    assert names == [MEMORY.name]


def test_promises_name_contestants_and_contestants_servers() -> None:
    assert ({one.server for one in CONTESTANTS} - {PGBENCH}) | {SILENT, PLAIN, "answers"} == SERVERS.keys()
    against = {promise.lower for promise in PROMISES if promise.upper == "tenfold"}
    assert against <= {one.name for one in CONTESTANTS}


def test_the_load_is_read_from_what_wrk_says() -> None:
    load = read_output(OUTPUT)
    assert (load.requests, load.rate, load.median_ms, load.tail_ms) == (1000, 500, 2.5, 1200)


@pytest.mark.parametrize("fault", ["Non-2xx or 3xx responses: 3", "Socket errors: connect 0, read 1"])
def test_a_round_with_faults_has_no_figures(fault: str) -> None:
    with pytest.raises(LoadFailed, match=fault):
        read_output(OUTPUT + fault)


@pytest.mark.parametrize(
    ("rows", "peer_rows"),
    [("10000,100000", 100_000), ("5000000,10000,1000000", 1_000_000), ("10000,5000000", 5_000_000)],
)
def test_peers_read_a_million_rows_where_there_are_and_else_the_most(rows: str, peer_rows: int) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert read_options(parser.parse_args(["--rows", rows])).peer_rows == peer_rows


def test_too_little_disk_space_is_reported_first(tmp_path: Path) -> None:
    assert describe_lack([10], tmp_path) is None
    lack = describe_lack([10**12], tmp_path)
    assert lack
    assert f"in {tmp_path}" in lack


def test_cpu_and_memory_are_read_of_a_whole_tree() -> None:
    assert read_cpu(os.getpid()) > 0
    assert read_memory(os.getpid()) > 10_000_000


def test_rows_agree_by_value() -> None:
    ours = read_rows(b'{"results": [{"id": 1, "at": "2026-01-02T03:04:05Z", "price": "1.50"}]}')
    theirs = read_rows(b'{"items": [{"price": "1.50", "id": 1, "at": "2026-01-02T03:04:05+00:00"}]}')
    check_rows("them", theirs, ours)


def test_a_difference_is_named() -> None:
    with pytest.raises(Disagreement, match=r"them, product 1: price is 1\.5, not '1\.50'"):
        check_rows("them", [{"id": 1, "price": 1.5}], [{"id": 1, "price": "1.50"}])


def test_the_chart_is_drawn() -> None:
    chart = draw_chart([("ours", 500.0), ("<them>", 5.0)], "A page")
    assert chart.startswith("<svg")
    assert "&lt;them&gt;" in chart


# -- with a database --------------------------------------------------------------------------------------------


@pytest.fixture
def filled(db: None) -> None:
    connection.ensure_connection()
    fill_tables(connection.connection, ROWS)


@postgresql
@pytest.mark.django_db
def test_the_last_of_ten_million_products_has_its_time() -> None:
    # Multiplied before divided, the days of an interval ran over at 3,000,000.
    last = SCRIPT[0].replace("generate_series(1::bigint, :rows)", "unnest(ARRAY[:rows - 1::bigint])")
    with connection.cursor() as cursor:
        cursor.execute(last.replace(":rows", "10000000").replace("%", "%%"), ())
        cursor.execute("SELECT created_at FROM bench_row")
        assert datetime(2024, 11, 1, tzinfo=UTC) < cursor.fetchone()[0] < datetime(2026, 11, 1, tzinfo=UTC)


def sum_up() -> list[Any]:
    queries = (f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM catalog_{table} t" for table in TABLES)
    with connection.cursor() as cursor:
        return [cursor.execute(query).fetchone()[0] for query in queries]


@postgresql
@pytest.mark.usefixtures("filled")
def test_seeding_again_gives_the_same_rows() -> None:
    first = sum_up()
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(f'catalog_{table}' for table in TABLES)} CASCADE")
    fill_tables(connection.connection, ROWS)
    assert sum_up() == first
    assert None not in first


@postgresql
@pytest.mark.usefixtures("filled")
def test_the_seed_stores_the_json_of_its_rows() -> None:
    assert list(find_unstored()) == []


DERIVED = {
    "price": "SELECT min(price) FROM catalog_variant v WHERE v.product_id = p.id",
    "in_stock": "SELECT bool_or(on_hand > reserved) FROM catalog_stock s"
    " JOIN catalog_variant v ON v.id = s.variant_id WHERE v.product_id = p.id",
    "image_url": "SELECT coalesce(min(url) FILTER (WHERE position = 1), '') FROM catalog_image i"
    " WHERE i.product_id = p.id",
}


@postgresql
@pytest.mark.parametrize("column", DERIVED)
@pytest.mark.usefixtures("filled")
def test_derived_columns_are_what_triggers_would_make_them(column: str) -> None:
    with connection.cursor() as cursor:
        query = f"SELECT count(*) FROM catalog_product p WHERE p.{column} IS DISTINCT FROM ({DERIVED[column]})"
        assert cursor.execute(query).fetchone()[0] == 0


@postgresql
@pytest.mark.usefixtures("filled")
def test_paths_and_search_documents_are_what_triggers_would_make_them() -> None:
    with connection.cursor() as cursor:
        before = sum_up()
        cursor.execute("UPDATE catalog_producttext SET document = NULL")  # the trigger writes it anew
        cursor.execute("UPDATE catalog_category SET breadcrumb = ''")  # as this one does
        cursor.execute("SELECT count(*) FROM catalog_category WHERE path NOT LIKE '%' || lpad(id::text, 10, '0')")
        assert cursor.fetchone()[0] == 0
    assert sum_up() == before


@postgresql
@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("path", "mark"), ADMIN.values(), ids=ADMIN)
def test_the_session_opens_the_admin(path: str, mark: bytes) -> None:
    client = Client(headers={"host": "127.0.0.1"})
    with pytest.raises(Disagreement, match="signed in"):
        check_admin(client.get(path, follow=True).content, mark)
    check_admin(client.get(path, headers={"cookie": sign_in()}).content, mark)


@postgresql
@pytest.mark.usefixtures("filled")
def test_the_captured_statement_gives_what_the_server_answers(settings: Any) -> None:
    settings.CACHE = "off"  # as the program that captures it has it
    captured = capture_statement(PAGE)
    with connection.cursor() as cursor:
        cursor.execute(captured["sql"], captured["parameters"])
        rows = [json.loads(row[captured["column"]]) for row in cursor.fetchall()]
    answer = Client(headers={"host": "127.0.0.1"}).get(PAGE).json()
    assert rows[: captured["page_size"]] == answer["results"]
    assert len(answer["results"]) == captured["page_size"]


# Both lists and exports of a peer; Flask's has no export.
PEERS = Path(__file__).parent / "peers"
PEERS_OF_PAGES = ("shop/serializers.py", "shop/ninja_api.py", "shop/bolt_api.py", "fastapi_app.py", "flask_app.py")
PEERS_OF_EXPORTS = ("shop/export.py", "fastapi_app.py")


def read_members(value: Any) -> set[str]:
    """The names of all members, nested ones too; what an attribute is called differs from product to product."""
    if isinstance(value, list):
        return set().union(*map(read_members, value))
    if not isinstance(value, dict):
        return set()
    return {*value}.union(*(read_members(below) for name, below in value.items() if name != "attributes"))


def read_words(peer: str) -> set[str]:
    return set(re.findall(r"\w+", (PEERS / peer).read_text()))


@postgresql
@pytest.mark.usefixtures("filled")
def test_every_peer_names_each_member_that_ours_shows() -> None:
    members = read_members(Client(headers={"host": "127.0.0.1"}).get(PAGE).json()["results"])
    assert "thumbnails" in members
    assert {peer: members - read_words(peer) for peer in PEERS_OF_PAGES} == {peer: set() for peer in PEERS_OF_PAGES}


@pytest.mark.django_db
def test_every_peer_exports_each_column_that_ours_exports(staff: APIClient) -> None:
    header = b"".join(staff.get(CSV).streaming_content).decode().strip()
    columns = {column.removesuffix("_slug") for column in header.split(",")}
    assert {peer: columns - read_words(peer) for peer in PEERS_OF_EXPORTS} == {peer: set() for peer in PEERS_OF_EXPORTS}


@postgresql
@pytest.mark.usefixtures("filled")
def test_a_signed_cursor_goes_on_behind_its_row() -> None:
    rows = list(Product.objects.only_active().order_by("-created_at", "-id").values("id", "created_at"))
    cursor = sign_cursor(PAGE, rows[99]["created_at"], rows[99]["id"])
    answer = Client(headers={"host": "127.0.0.1"}).get(f"{PAGE}&cursor={cursor}").json()
    assert [row["id"] for row in answer["results"]] == [row["id"] for row in rows[100:150]]


@pytest.mark.django_db
def test_what_is_written_is_taken_one_by_one_and_all_at_once(staff: APIClient) -> None:
    [one] = make_products(1)
    assert staff.post("/api/v1/products/", one).status_code == 201
    body = {"mode": "upsert", "items": list(make_products(3))}
    assert staff.post("/api/v1/products/bulk/", body).json()["created"] == 3
    assert staff.patch("/api/v1/prices/bulk/", list(make_prices(3))).json()["updated"] == 3


@postgresql
@pytest.mark.usefixtures("filled")
def test_without_stored_rows_the_same_page_is_compiled(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CACHE = "off"
    stored = Client(headers={"host": "127.0.0.1"}).get(PAGE)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    drop_stored(connection.connection)
    PLANS.clear()
    # In the test's transaction a statement that fails would end all.
    monkeypatch.setattr(statements, "read_stored", lambda read: None)
    assert Client(headers={"host": "127.0.0.1"}).get(PAGE).content == stored.content
    assert "stored_1" not in capture_statement(PAGE)["sql"]


def test_pgbench_takes_no_time_for_a_variable() -> None:
    assert write_script("SELECT 'HH24:MI:SS', a::text, '\"x\":'") == (
        "SELECT 'HH24:' || 'MI:' || 'SS', a::text, '\"x\":';\n"
    )
