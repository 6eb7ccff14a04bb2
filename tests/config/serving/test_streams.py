"""Streams of changes from a server: they hold no thread, no slow one holds up another, and a kill loses nothing."""

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from config.serving.held import GRACE_BYTES, MOST_ROUNDS, ROUNDS, SocketFinder, Written, count_framed, make_pad
from tests.config.serving.conftest import copy_shop
from tests.launching import Launched, launch_server
from tests.services import free_port
from tests.shop import Shop

STREAM = "/api/v1/changes/stream/"
PAGE = "/api/v1/products/?page_size=20&price_min="
EVENT = re.compile(rb"id: (\d+)\ndata: ")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is queued")


@pytest.fixture(scope="module")
def filled(opened: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return copy_shop(opened, tmp_path_factory.mktemp("shop"))


class Listener:
    """A client of the stream."""

    def __init__(self, port: int, token: str, after: int | None = None, room: int = 0, version: str = "1.1") -> None:
        self.socket = socket.socket()
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", port))
        query = "" if after is None else f"?after={after}"
        self.socket.sendall(
            f"GET {STREAM}{query} HTTP/{version}\r\nHost: 127.0.0.1\r\nAuthorization: Token {token}\r\n\r\n".encode()
        )
        self.text = b""

    @property
    def ids(self) -> list[int]:
        return [int(found) for found in EVENT.findall(re.sub(rb"\r\n[0-9a-f]+\r\n", b"", self.text))]

    def read_until(self, is_done: Any) -> bool:
        """False if the stream ended before."""
        while not is_done(self):
            try:
                block = self.socket.recv(65536)
            except ConnectionResetError:
                return False
            if not block:
                return False
            self.text += block
        return True

    def begin(self) -> None:
        assert self.read_until(lambda listener: b"retry: " in listener.text), self.text
        assert self.text.startswith(b"HTTP/1.1 200 OK")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="module")
def server(filled: Shop) -> Iterator[tuple[int, Launched]]:
    port = free_port()
    with launch_server(PORT=str(port), **filled.environment) as (_, launched):
        yield port, launched


def find_workers(launched: Launched) -> list[int]:
    """The web workers: the launcher's other child is multiprocessing's own."""
    children = Path(f"/proc/{launched.process.pid}/task/{launched.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if count_threads(int(pid)) > 3]


def count_threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def change_price(port: int, shop: Shop, price: str) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Token {shop.token}", "Content-Type": "application/json"}
    client.request("PATCH", "/api/v1/prices/bulk/", json.dumps([{"sku": shop.skus[0], "price": price}]), headers)
    assert client.getresponse().status == 200
    client.close()


def time_pages(port: int) -> float:
    """Median seconds of a page that isn't cached."""
    client, seconds = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for number in range(60):
        began = time.perf_counter()
        client.request("GET", f"{PAGE}{number}")
        assert client.getresponse().read()
        seconds.append(time.perf_counter() - began)
    client.close()
    return median(seconds)


@pytest.mark.slow
@pytest.mark.once
@on_linux
def test_two_hundred_streams_cost_ordinary_requests_nothing(server: tuple[int, Launched], filled: Shop) -> None:
    port, launched = server
    alone = time_pages(port)
    [worker] = find_workers(launched)
    threads = count_threads(worker)
    with ExitStack() as stack:
        listeners = []
        for _ in range(200):  # one after the other, since requests at the same time have a thread each
            listeners.append(stack.enter_context(closing(Listener(port, filled.token))))
            listeners[-1].begin()
        assert count_threads(worker) < threads + 20
        assert time_pages(port) < 1.5 * alone
        change_price(port, filled, "5.50")
        for listener in listeners:
            assert listener.read_until(lambda each: each.ids)
        assert len({tuple(listener.ids[:1]) for listener in listeners}) == 1


@pytest.mark.slow
@pytest.mark.once
@on_linux
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_that_does_not_read_holds_up_nobody(version: str, server: tuple[int, Launched], filled: Shop) -> None:
    port, _ = server
    with (
        closing(Listener(port, filled.token, after=0, room=4096)),
        closing(Listener(port, filled.token, 0, version=version)) as quick,
    ):
        assert quick.read_until(lambda each: len(each.text) > 8 * GRACE_BYTES)
        change_price(port, filled, f"6.{version[-1]}0")
        ids = quick.ids
        assert quick.read_until(lambda each: len(each.ids) > len(ids))
        assert quick.ids == list(range(1, len(quick.ids) + 1)), "each once and in order"


@pytest.mark.slow
@pytest.mark.once
@on_linux
def test_after_a_kill_a_listener_goes_on_where_it_was(server: tuple[int, Launched], filled: Shop) -> None:
    port, launched = server
    listener, seen = Listener(port, filled.token), []
    listener.begin()
    after = int(re.findall(rb"id: (\d+)\n\n", listener.text)[0])
    for number in range(2):
        change_price(port, filled, f"7.{number}0")
        assert listener.read_until(lambda each: each.ids)
        seen += listener.ids
        [worker] = find_workers(launched)
        os.kill(worker, signal.SIGKILL)
        assert not listener.read_until(lambda each: False)
        listener.close()
        wait_for_server(port)
        change_price(port, filled, f"8.{number}0")  # nobody listens
        listener = Listener(port, filled.token, seen[-1])
    assert listener.read_until(lambda each: len(each.ids) >= 1)
    time.sleep(1)  # what is on its way
    seen += listener.ids
    listener.close()
    assert seen == list(range(after + 1, seen[-1] + 1))
    assert len(seen) >= 4


def wait_for_server(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            client.request("GET", "/livez")
            if client.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)  # the next worker loads
        finally:
            client.close()
    raise AssertionError("no worker came back")


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_server_ends_its_streams_cleanly(filled: Shop, how: signal.Signals) -> None:
    port = free_port()
    with launch_server(PORT=str(port), **filled.environment | {"DRAIN_SECONDS": "1"}) as (_, launched):
        listener = Listener(port, filled.token)
        listener.begin()
        began = time.monotonic()
        stopping = threading.Thread(target=launched.stop, args=[how])
        stopping.start()
        listener.read_until(lambda each: each.text.endswith(b"\r\n0\r\n\r\n"))
        assert listener.text.endswith(b"\r\n0\r\n\r\n"), "the last chunk says that this is all"
        stopping.join(30)
        assert time.monotonic() - began < 8
        listener.close()


@on_linux
def test_a_connection_is_found_by_what_it_got() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        pairs = []
        for _ in range(8):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            pairs.append((client, stack.enter_context(listener.accept()[0])))
        finder, size, found = SocketFinder(port), 0, None
        pairs[3][1].sendall(b"x" * 1000)  # the head
        for number in range(MOST_ROUNDS):
            pairs[number % 3][1].sendall(make_pad() + b"x")  # others get something, too
            pad = make_pad()
            pairs[3][1].sendall(pad)
            size += len(pad)
            if found := finder.look(size, Written().count(port, time.monotonic())):
                break
        assert found is not None
        assert found.getpeername() == pairs[3][0].getsockname()
        assert finder.rounds > ROUNDS
        found.close()


def test_a_block_is_counted_as_it_is_sent() -> None:
    assert count_framed(b"x" * 300) == len(b"12c\r\n" + b"x" * 300 + b"\r\n")
