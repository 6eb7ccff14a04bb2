"""`kill -9` between commit and answer: who repeats the request with its key has ordered once, and is told so."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest

from accounts.models import AuthToken, Order
from catalog.models import Stock
from tests.factories import make_product, make_user
from tests.launching import find_database_url, launch, launch_server
from tests.services import free_port, wait_for_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

URL = "/api/v1/orders/"


@contextmanager
def launch_dying_server() -> Iterator[str]:
    port = free_port()
    target = ("--host", "127.0.0.1", "--port", str(port), "tests.dying:application")
    with launch("-m", "granian", "--interface", "wsgi", *target, DATABASE_URL=find_database_url()):
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"


def order(server: str, headers: dict[str, str]) -> tuple[int, Any, Any]:
    """Two of TEA; status, headers and body."""
    body = json.dumps({"lines": [{"sku": "TEA", "quantity": 2}]}).encode()
    request = Request(server + URL, body, headers | {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return answer.status, answer.headers, json.load(answer)


@pytest.fixture
def headers() -> dict[str, str]:
    make_product(sku="TEA", stock=10)
    secret = AuthToken.objects.create(make_user())[1]
    return {"Authorization": f"Token {secret}", "Idempotency-Key": "order-1"}


def test_an_order_whose_answer_was_lost_is_placed_once(headers: dict[str, str]) -> None:
    with launch_dying_server() as dying, pytest.raises((http.client.HTTPException, OSError)):
        order(dying, headers)
    placed = Order.objects.get()  # committed, though nobody was told
    with launch_server(DATABASE_URL=find_database_url()) as (server, _):
        answers = [order(server, headers) for _ in range(2)]
    for status, answered, body in answers:
        assert (status, answered["Idempotency-Replayed"]) == (201, "true")
        assert body["number"] == placed.number
        assert answered["Location"].endswith(f"{URL}{placed.number}/")
    assert Order.objects.count() == 1
    assert Stock.objects.get().reserved == 2
