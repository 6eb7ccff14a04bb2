"""The socket of a server: its answers, its end, and the start of its successor on the same port; no client notices."""

import http.client
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.serving.supervisor import listen, stop_connects
from tests.clients import Walk, add_up, clients
from tests.config.serving.conftest import copy_shop
from tests.launching import Launched, launch, launch_server
from tests.services import free_port
from tests.shop import Shop

pytestmark = pytest.mark.slow

PAGE = "/api/v1/products/?page_size=5"


@pytest.fixture
def database(opened: Shop, tmp_path: Path) -> str:
    return copy_shop(opened, tmp_path).database


def ask(client: http.client.HTTPConnection, path: str) -> http.client.HTTPResponse:
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    return answer


def test_an_answer_waits_for_no_acknowledgement() -> None:
    """Accepted connections don't have Nagle's algorithm, as their listener hasn't it."""
    with listen("127.0.0.1", 0, backlog=1) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_stopping_server_is_unready_and_says_goodbye(database: str) -> None:
    port = free_port()
    with launch_server(DATABASE_URL=database, PORT=str(port), DRAIN_SECONDS="30") as (_, launched):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        assert ask(client, "/readyz").status == 200
        assert ask(client, PAGE).getheader("Connection") is None
        launched.process.send_signal(signal.SIGTERM)
        wait_for_goodbye(client)
        page = ask(client, PAGE)
        assert (page.status, page.getheader("Connection")) == (200, "close")
        assert ask(client, "/readyz").status == 503
        # A second signal is from somebody who doesn't want to wait.
        began = time.monotonic()
        assert launched.stop() == 0
        assert time.monotonic() - began < 10


def wait_for_goodbye(client: http.client.HTTPConnection) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end and ask(client, "/livez").getheader("Connection") != "close":
        time.sleep(0.02)  # a signal goes through two processes


@pytest.mark.parametrize(("how", "drain"), [(signal.SIGINT, "30"), (signal.SIGTERM, "0")])
def test_a_started_request_is_answered_and_ctrl_c_waits_for_no_other(
    database: str, how: signal.Signals, drain: str
) -> None:
    port = free_port()
    with (
        launch_server(DATABASE_URL=database, PORT=str(port), DRAIN_SECONDS=drain) as (_, launched),
        ThreadPoolExecutor(1) as caller,
    ):
        body = b'{"email": "nobody@example.com", "password": "wrong"}'
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        client.putrequest("POST", "/api/v1/auth/login/")
        client.putheader("Content-Type", "application/json")
        client.putheader("Content-Length", str(len(body)))
        client.endheaders(body[:10])
        time.sleep(0.5)  # half of its body is there; nothing tells us that it was read
        code, began = caller.submit(launched.stop, how), time.monotonic()
        time.sleep(1)  # the stop is well under way
        client.send(body[10:])
        assert client.getresponse().status == 401
        client.close()
        assert code.result() == 0
        assert time.monotonic() - began < 10


def replace(launched: Launched, port: int, database: str) -> Launched:
    """A successor on the same port, then an end to the one that was there."""
    successor = Launched("-m", "config.server", "--beside", PORT=str(port), DATABASE_URL=database, DRAIN_SECONDS="2")
    successor.wait_for("serves on")
    assert launched.stop() == 0
    return successor


def roll(database: str, restarts: int, least: int) -> Walk:
    """At least so many requests of clients that keep their connections, over so many restarts."""
    port = free_port()
    environment = {"DATABASE_URL": database, "PORT": str(port), "DRAIN_SECONDS": "2", "LOG_LEVEL": "WARNING"}
    with launch("-m", "config.server", **environment) as first:
        launched = first
        first.wait_for("serves on")
        try:
            # With a pause that is longer than an answer, so that some wait for one and some for their next request.
            with clients(8, port, PAGE, pause=0.02) as walks:
                for _ in range(restarts):
                    launched = replace(launched, port, database)
                time.sleep(1)
        finally:
            launched.end()
    whole = add_up(walks)
    assert sum(whole.statuses.values()) >= least
    return whole


def test_a_rolling_restart_fails_no_request(database: str) -> None:
    # On a busy machine its eight clients are answered a few times each.
    whole = roll(database, restarts=1, least=24)
    assert whole.failures == []
    assert set(whole.statuses) == {200}


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_a_socket_that_will_close_accepts_no_new_connection() -> None:
    listener = listen("127.0.0.1", 0, backlog=64)
    address = listener.getsockname()
    waiting = [socket.create_connection(address) for _ in range(5)]
    accepted: list[socket.socket] = []
    accepter = threading.Timer(0.2, lambda: accepted.extend(listener.accept()[0] for _ in waiting))
    accepter.start()
    stop_connects(listener)
    # It has waited until those who had connected were accepted, and a newcomer hears nothing yet.
    assert len(accepted) == len(waiting)
    with socket.socket() as newcomer:
        newcomer.settimeout(0.3)
        with pytest.raises(TimeoutError):
            newcomer.connect(address)
    listener.close()
    for server in accepted:
        server.sendall(b"hello")
    assert all(client.recv(5) == b"hello" for client in waiting)
    for each in (*waiting, *accepted):
        each.close()
