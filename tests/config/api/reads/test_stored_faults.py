"""`store_rows` is killed again and again, under load: each answer is right, and the next call goes on (PostgreSQL)."""

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
import pytest

from tests.launching import launch, launch_server
from tests.services import PostgresServer, free_port, missing_binaries
from tests.shop import Shop

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(missing_binaries()), reason=f"missing {', '.join(missing_binaries())}"),
]

PRODUCTS = 6_000
ROUNDS = 2
PATHS = (
    "products/?expand=brand,category,images&page_size=200",
    "products/?ordering=price&omit=rating",
    "products/5000/",
    "categories/?page_size=50",
    "exports/products.ndjson?expand=images&trailer=0&id=1,3000,5999",
)
TABLES = ("catalog_brand", "catalog_category", "catalog_product")
# As rows are after a migration to another form.
FORGET = "UPDATE {} SET stored_form = 7, stored_1 = 'old'"
FIND = "import json; from config.api.reads.stored_rows import find_unstored; print(json.dumps(list(find_unstored())))"


@pytest.fixture
def shop() -> Iterator[Shop]:
    postgres = PostgresServer()
    shop = Shop(postgres.url)
    shop.open(PRODUCTS)
    yield shop
    postgres.remove()


def ask(client: http.client.HTTPConnection, shop: Shop, path: str) -> bytes:
    client.request("GET", f"/api/v1/{path}", headers={"Authorization": f"Token {shop.token}"})
    answer = client.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return text


@contextmanager
def read_together(shop: Shop, port: int) -> Iterator[Mapping[str, list[str]]]:
    """For each path: "" for an answer during the block that was what it was before the block, else what was wrong."""
    over = threading.Event()
    said: dict[str, list[str]] = {path: [] for path in PATHS}

    def read(path: str, before: bytes) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not over.is_set():
            try:
                said[path].append("" if (answer := ask(client, shop, path)) == before else answer.decode())
            except (AssertionError, OSError) as error:
                said[path].append(repr(error))
                client.close()
        client.close()

    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    threads = [threading.Thread(target=read, args=(path, ask(client, shop, path))) for path in PATHS]
    client.close()
    with run_all(threads, over):
        yield said


@contextmanager
def write_together(shop: Shop) -> Iterator[None]:
    """A writer that changes nothing of what is shown, so that it meets the rebuild at any row."""
    over = threading.Event()

    def write() -> None:
        with psycopg.connect(shop.database, autocommit=True) as session:
            while not over.is_set():
                key = random.randint(1, PRODUCTS)
                session.execute("UPDATE catalog_product SET price = price WHERE id = %s", [key])
                session.execute("UPDATE catalog_image SET alt = alt WHERE product_id = %s", [key])

    with run_all([threading.Thread(target=write)], over):
        yield


@contextmanager
def run_all(threads: list[threading.Thread], over: threading.Event) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def kill_rebuild(shop: Shop, count: Callable[[], int]) -> None:
    """Start a rebuild, and kill it once it has stored some rows."""
    end, left = time.monotonic() + 60, count()
    with launch("manage.py", "store_rows", **shop.environment) as launched:
        # More than the writer stores meanwhile.
        while launched.process.poll() is None and count() > max(0, left - 1_500):
            assert time.monotonic() < end, launched.lines
            time.sleep(0.01)  # nothing tells when another process commits
        time.sleep(random.uniform(0, 0.2))
        launched.process.kill()


def test_a_rebuild_killed_at_any_point_gives_no_wrong_answer_and_goes_on(shop: Shop) -> None:
    kills = 0
    with (
        psycopg.connect(shop.database, autocommit=True) as session,
        launch_server(**shop.environment, CACHE="off", PORT=str(port := free_port())),
        read_together(shop, port) as said,
    ):

        def count() -> int:
            [(number,)] = session.execute("SELECT count(*) FROM catalog_product WHERE stored_form = 7").fetchall()
            return int(number)

        for _ in range(ROUNDS):
            session.execute("SET session_replication_role = replica")
            for table in TABLES:
                session.execute(FORGET.format(table))
            session.execute("SET session_replication_role = DEFAULT")
            with write_together(shop):
                while count():
                    kill_rebuild(shop, count)
                    kills += 1
        shop.run("store_rows")
    assert kills > ROUNDS
    assert shop.shell(FIND) == []
    for path, answers in said.items():
        assert [answer[:500] for answer in answers if answer] == [], path
        assert len(answers) > kills, path
