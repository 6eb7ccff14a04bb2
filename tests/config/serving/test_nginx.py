"""The shipped nginx configuration: a roll from one server to the next behind it."""

import http.client
import shutil
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.clients import add_up, clients
from tests.config.serving.conftest import copy_shop
from tests.config.serving.test_streams import Listener, change_price
from tests.launching import Launched, launch_server
from tests.nginx import run_nginx
from tests.services import free_port
from tests.shop import Shop

pytestmark = [
    pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx on this machine (Debian: nginx-light)"),
    pytest.mark.slow,
    pytest.mark.once,
]


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated, tmp_path)}"


def start(database: str, port: int, rate: str = "off") -> Launched:
    variables = {"DATABASE_URL": database, "PORT": str(port), "DRAIN_SECONDS": "1", "TRUSTED_PROXIES": "1"}
    launched = Launched("-m", "config.server", **variables, LOG_LEVEL="WARNING", RATE_LIMIT_ANON=rate)
    launched.wait_for("serves on")
    return launched


def test_a_roll_from_one_server_to_the_other_fails_no_request(database: str) -> None:
    first, second = free_port(), free_port()
    launched = start(database, first)
    successor = None
    try:
        with run_nginx(first, second) as port:
            with clients(4, port, "/api/v1/products/", pause=0.02) as walks:
                time.sleep(1)
                successor = start(database, second)
                assert launched.stop(signal.SIGTERM) == 0
                time.sleep(1)
            links = read_links(port)
    finally:
        launched.end()
        if successor:
            successor.end()
    whole = add_up(walks)
    assert whole.failures == []
    assert set(whole.statuses) == {200}
    assert sum(whole.statuses.values()) > 100
    # The client's own name for the server, not the proxy's for it.
    assert f"http://127.0.0.1:{port}/" in links


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_no_client_says_where_it_comes_from(database: str) -> None:
    names = ("X_Forwarded_For", "X-Forwarded_For", "x_forwarded-for", "X-Forwarded-For")
    port = free_port()
    launched = start(database, port, rate="2/hour")
    try:
        with run_nginx(port, free_port()) as proxy:
            statuses = {
                name: [ask_as(proxy, name, f"203.0.113.{number}", f"127.0.0.{last}") for number in range(3)]
                for last, name in enumerate(names, 2)
            }
    finally:
        launched.end()
    assert statuses == {name: [200, 200, 429] for name in names}


def test_events_pass_at_once(opened: Shop, tmp_path: Path) -> None:
    """nginx collects an answer of HTTP/1.0 until a buffer is full, unless the answer says otherwise."""
    shop = copy_shop(opened, tmp_path)
    port = free_port()
    with (
        launch_server(PORT=str(port), TRUSTED_PROXIES="1", **shop.environment),
        run_nginx(port, free_port()) as proxy,
        closing(Listener(proxy, shop.token)) as listener,
    ):
        listener.begin()
        for number in range(3):
            began = time.monotonic()
            change_price(proxy, shop, f"5.{number}0")
            assert listener.read_until(lambda each, seen=number: len(each.ids) > seen)
            # Otherwise the next comment brings it, after fifteen seconds.
            assert time.monotonic() - began < 10


def ask_as(port: int, name: str, address: str, own: str) -> int:
    """The status of a request that no cache answers, from the address `own`, over a connection of its own."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(own, 0))
    try:
        search = f"{address}x{own}".replace(".", "x")
        client.request("GET", f"/api/v1/products/?search={search}", headers={name: address})
        return client.getresponse().status
    finally:
        client.close()


def read_links(port: int) -> str:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request("GET", "/api/v1/")
        return client.getresponse().read().decode()
    finally:
        client.close()
