"""A follower who reads only the change feed holds what the tables hold, whatever is written, and whatever dies."""

import json
import random
import signal
import threading
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from rest_framework.test import APIClient

from accounts.models import AuthToken, Order, User
from tests.factories import make_product
from tests.following import Follower, do_something
from tests.launching import find_database_url, launch_server
from tests.services import free_port


def fill_shop() -> list[str]:
    return [make_product(sku=f"TEA-{number}", stock=9).sku for number in range(5)]


@pytest.mark.slow
@pytest.mark.django_db
def test_a_follower_of_the_feed_holds_what_the_tables_hold() -> None:
    skus = fill_shop()
    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("root@example.com", "x"))
    follower = Follower(lambda path: client.get(f"/api/v1/{path}").json())
    chance, numbers = random.Random(7), list[str]()

    def send(method: str, path: str, body: Any) -> Any:
        return getattr(client, method.lower())(f"/api/v1/{path}", body).json()

    for _ in range(4):
        for _ in range(20):
            do_something(chance, skus, numbers, send)
        follower.catch_up()
        assert follower.find_differences() == []
    assert Order.objects.filter(lines__shipped__gt=0).exists()
    assert Order.objects.filter(status="canceled").exists()


class Shop:
    """A server that is killed and started again on the same port, and clients who try again."""

    def __init__(self, token: str) -> None:
        self.port = free_port()
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self.is_over = threading.Event()
        self.answered = 0

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Reads are tried until there is an answer. A write whose answer is lost isn't repeated: it may be done."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", data, self.headers, method=method)
        for _ in range(600):
            try:
                with urlopen(request, timeout=10) as answer:
                    self.answered += 1
                    return json.load(answer)
            except HTTPError as error:
                if error.code < 500:
                    return None if method != "GET" else pytest.fail(error.read().decode())
            except OSError:
                pass
            if method != "GET":
                return None
            time.sleep(0.1)
        return pytest.fail(f"no answer to {path}")

    def write(self, seed: int, skus: list[str]) -> None:
        chance, numbers = random.Random(seed), list[str]()
        while not self.is_over.is_set():
            do_something(chance, skus, numbers, lambda method, path, body: self.ask(path, method, body))

    def follow(self, follower: Follower) -> None:
        while not self.is_over.is_set():
            follower.catch_up()


KILLS = 4


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_it_does_so_while_the_server_is_killed(settings: Any) -> None:
    skus = fill_shop()
    shop = Shop(AuthToken.objects.create(User.objects.create_superuser("root@example.com", "x"))[1])
    follower = Follower(shop.ask)
    variables = {"DATABASE_URL": find_database_url(), "PORT": str(shop.port), "REDIS_URL": settings.REDIS_URL or ""}
    variables |= {"RATE_LIMIT_ANON": "off", "RATE_LIMIT_TOKEN": "off", "LOG_LEVEL": "WARNING"}
    threads = [threading.Thread(target=shop.write, args=(seed, skus)) for seed in range(4)]
    threads.append(threading.Thread(target=shop.follow, args=(follower,)))
    for number in range(KILLS):
        with launch_server(**variables) as (_, server):
            if not number:
                for thread in threads:
                    thread.start()
            time.sleep(8)
            server.stop(signal.SIGKILL)
    with launch_server(**variables):
        time.sleep(3)
        shop.is_over.set()
        for thread in threads:
            thread.join(timeout=60)
        follower.catch_up()
        assert follower.find_differences() == []
    assert shop.answered > 200
    assert Order.objects.count() > 20
