"""What a request may ask of PostgreSQL: so much time, so long a wait for a lock; then a refusal, never a 500."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.signals import connection_created

from accounts.models import AuthToken
from catalog.models import Product
from config.process.limits import WORKER, Keeper, Limits, limit_api
from exports.management.commands import export
from tests.factories import make_product, make_user
from tests.launching import find_database_url, launch_server
from tests.services import PgBouncer, find_binary

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one limit, ten seconds for its lock"),
]


def ask(url: str, method: str = "GET", token: str = "", body: Any = None) -> tuple[int, dict[str, Any], float, Any]:
    """Status, body, seconds and headers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Token {token}"} if token else {})
    data = json.dumps(body).encode() if body is not None else None
    request, began = urllib.request.Request(url, data, headers, method=method), time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer), time.monotonic() - began, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), time.monotonic() - began, error.headers


@pytest.fixture
def product() -> Product:
    return make_product(sku="TEA", price="4.00")


@pytest.fixture
def token(product: Product) -> str:
    user = make_user(is_superuser=True)
    _, secret = AuthToken.objects.create(user)
    return str(secret)


@contextmanager
def hold(statement: str) -> Iterator[None]:
    with psycopg.connect(find_database_url()) as owner:
        owner.execute(statement)
        yield
        owner.rollback()


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    variables = {"DATABASE_URL": find_database_url(), "STATEMENT_TIMEOUT_MS": "600", "CACHE": "off"}
    with launch_server(**variables, RATE_LIMIT_ANON="off", RATE_LIMIT_TOKEN="off") as (url, _):
        yield f"{url}/api/v1"


def test_a_row_that_somebody_holds_is_a_503_in_bounded_time(server: str, product: Product, token: str) -> None:
    url = f"{server}/products/{product.pk}/"
    with hold(f"SELECT * FROM catalog_product WHERE id = {product.pk} FOR UPDATE"):
        status, problem, seconds, headers = ask(url, "PATCH", token, {"title": "New"})
        assert ask(url)[0] == 200  # who reads waits for nobody
    assert (status, problem["code"], headers["Retry-After"]) == (503, "row_locked", "1")
    assert 0.2 < seconds < 3
    assert Product.objects.get().title == product.title
    assert ask(url, "PATCH", token, {"title": "New"})[0] == 200


@pytest.mark.usefixtures("product")
def test_a_table_that_somebody_holds_is_a_503_for_readers_too(server: str) -> None:
    for _ in range(3):  # at the last by a kept plan, before Django
        with hold("LOCK TABLE catalog_product IN ACCESS EXCLUSIVE MODE"):
            status, problem, seconds, headers = ask(f"{server}/products/")
        assert (status, problem["code"]) == (503, "row_locked")
        assert seconds < 3
        assert '"1 queries"' in headers["Server-Timing"]
        ask(f"{server}/products/")
    assert ask(f"{server}/products/")[0] == 200


SLOW = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END';
CREATE TRIGGER zz_slow BEFORE UPDATE ON catalog_product FOR EACH ROW EXECUTE FUNCTION be_slow()
"""


@pytest.fixture
def slow_updates(product: Product) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(SLOW)
        yield
        cursor.execute("DROP FUNCTION be_slow CASCADE")


@pytest.mark.usefixtures("slow_updates")
def test_a_statement_that_takes_too_long_is_a_504(server: str, product: Product, token: str) -> None:
    url = f"{server}/products/{product.pk}/"
    status, problem, seconds, headers = ask(url, "PATCH", token, {"title": "New"})
    assert (status, problem["code"], headers["Retry-After"]) == (504, "query_timeout", "5")
    assert headers["Content-Type"] == "application/problem+json"
    assert 0.5 < seconds < 3
    assert Product.objects.get().title == product.title


# -- by what the process is --------------------------------------------------------------------------------------


def show_limits(alias: str) -> list[str]:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
        return list(cursor.fetchone())


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    connections.close_all()
    yield keeper
    connection_created.disconnect(keeper.hold)
    connections.close_all()


@pytest.mark.parametrize(
    ("limits", "said"),
    [(limit_api(), ["10s", "5s", "10s"]), (WORKER, ["10min", "1min", "5min"])],
    ids=["API", "worker"],
)
def test_each_process_has_its_own_limits(keeper: Keeper, limits: Limits, said: list[str]) -> None:
    keeper.begin(limits)
    assert show_limits("default") == said


@pytest.mark.django_db(transaction=True, databases=["default", "exports"])
@pytest.mark.parametrize("alias", ["default", "exports"])
def test_no_page_and_no_chunk_is_compiled_to_machine_code(alias: str, keeper: Keeper) -> None:
    keeper.begin(limit_api())
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchone() == ("off",), "to compile the statement takes longer than to run it"
    connections["exports"].close_pool()


@pytest.mark.django_db(transaction=True, databases=["default", "exports"])
def test_exports_have_theirs_in_every_process(keeper: Keeper) -> None:
    keeper.begin(WORKER)
    assert show_limits("exports") == ["1min", "10s", "1min"]
    connections["exports"].close_pool()


@pytest.mark.django_db(transaction=True, databases=["default", "exports"])
def test_the_command_that_exports_has_those_of_exports(keeper: Keeper, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(export, "KEEPER", keeper)
    call_command("export", "products", format="csv", output=str(tmp_path / "products.csv"), json=True)
    assert show_limits("exports") == ["1min", "10s", "1min"]
    assert show_limits("default") == ["0", "0", "0"]
    connections["exports"].close_pool()


def test_nothing_is_set_on_a_connection_that_a_pooler_shares(keeper: Keeper) -> None:
    if not find_binary("pgbouncer"):
        pytest.skip("no pgbouncer on this machine (Debian: pgbouncer)")
    pooler = PgBouncer(int(connection.settings_dict["PORT"]))
    keeper.begin(limit_api())
    own = connection.settings_dict["PORT"]
    try:
        connection.settings_dict["PORT"] = pooler.port
        # By ALTER ROLE, as config/README.md says: what this client set would be the next one's.
        assert show_limits("default") == ["0", "0", "0"]
    finally:
        connection.close()
        connection.settings_dict["PORT"] = own
        pooler.remove()


def test_a_command_has_none() -> None:
    connections.close_all()
    assert show_limits("default") == ["0", "0", "0"]


def test_who_idles_in_a_transaction_is_ended(keeper: Keeper) -> None:
    keeper.begin(Limits(1000, 1000, 200))
    with psycopg.connect(find_database_url(), autocommit=True) as control:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        end = time.monotonic() + 10
        while control.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
            assert time.monotonic() < end
            time.sleep(0.05)  # a poll of another process's state
