"""Past one process on one machine: PgBouncer in front of the database, two servers on one Redis."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from accounts.models import AuthToken, User
from tests.factories import make_product
from tests.launching import find_database_url, launch_server
from tests.services import PgBouncer, find_binary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is one machine's"),
]


def ask(url: str, token: str = "", method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Token {token}"} if token else {}
    headers |= {"Content-Type": "application/json"} if body else {}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text


@pytest.fixture
def token() -> str:
    user = User.objects.create_superuser("root@example.com", "root")
    return str(AuthToken.objects.create(user)[1])


# -- PgBouncer ----------------------------------------------------------------------------------------------------


@pytest.fixture
def bouncer() -> Iterator[PgBouncer]:
    if not find_binary("pgbouncer"):
        pytest.skip("PgBouncer is not on this machine")
    bouncer = PgBouncer(urlsplit(os.environ["DATABASE_URL"]).port or 5432)
    yield bouncer
    bouncer.remove()


@pytest.mark.parametrize("pool", ["0", "6"], ids=["persistent connections", "a pool of ours too"])
def test_everything_works_behind_a_pgbouncer_with_fewer_connections_than_threads(
    pool: str, bouncer: PgBouncer, token: str
) -> None:
    products = [make_product(title=f"Product {number}") for number in range(20)]
    address = f"{bouncer.url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    variables = {"DATABASE_URL": address, "DATABASE_PREPARE": "false", "DATABASE_POOL": pool, "WEB_THREADS": "8"}
    with launch_server(**variables, LOG_LEVEL="WARNING") as (server, launched), ThreadPoolExecutor(8) as callers:
        api = f"{server}/api/v1"

        def work(number: int) -> None:
            product = products[number % len(products)]
            assert ask(f"{api}/products/?page_size=5&ordering=created_at")["results"]
            assert ask(f"{api}/products/?page=1&page_size=5&expand=variants,images")["count"] == 20
            changed = ask(f"{api}/products/{product.pk}/", token, "PATCH", {"title": f"Changed {number}"})
            assert changed["title"] == f"Changed {number}"

        list(callers.map(work, range(40)))
        for name in ("products.ndjson", "products.csv?fields=id"):
            assert len(ask(f"{api}/exports/{name}", token).splitlines()) == 21
        # Who writes is told to the triggers within the transaction, on whichever connection it runs.
        history = ask(f"{api}/products/{products[0].pk}/history/", token)["results"]
        assert {entry["actor"] for entry in history if entry["request_id"]} == {f"user:{User.objects.get().pk}"}
    assert not any('"ERROR"' in line for line in launched.lines)


# -- two servers --------------------------------------------------------------------------------------------------


@pytest.fixture
def servers() -> Iterator[tuple[str, str]]:
    variables = {
        "DATABASE_URL": find_database_url(),
        "REDIS_URL": os.environ["REDIS_URL"],
        "RATE_LIMIT_ANON": "60/hour",
    }
    with launch_server(**variables) as (first, _), launch_server(**variables) as (second, _):
        yield first, second


@pytest.mark.skipif(not os.environ["REDIS_URL"], reason="two servers share a Redis")
def test_what_one_server_writes_the_other_answers_at_once(servers: tuple[str, str], token: str) -> None:
    """Though both have it cached by then, for strangers and in front of Django."""
    product = make_product()
    row = f"/api/v1/products/{product.pk}/?fields=title"
    for number in range(5):
        writer, reader = servers if number % 2 else servers[::-1]
        for _ in range(3):
            ask(writer + row), ask(reader + row)
        ask(f"{writer}/api/v1/products/{product.pk}/", token, "PATCH", {"title": f"Title {number}"})
        assert ask(reader + row) == {"title": f"Title {number}"}


@pytest.mark.skipif(not os.environ["REDIS_URL"], reason="two servers share a Redis")
def test_two_servers_count_a_caller_s_requests_together(servers: tuple[str, str]) -> None:
    for number in range(60):
        # Never the same twice, so no cache answers it for nothing.
        ask(f"{servers[number % 2]}/api/v1/products/?price_min={number}")
    for server in servers:
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask(f"{server}/api/v1/products/?price_min=1000")
        with caught.value as error:
            assert error.code == 429
