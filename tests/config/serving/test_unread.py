"""Clients that don't read: how many bytes and threads of one address they hold, and for how long."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from config.metrics import TABLES
from config.serving import unread
from config.serving.shares import Share
from config.serving.unread import LEAST_BYTES, SHORT_BYTES, UnreadAnswers, Watch
from tests.config.serving.test_slots import ask

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux tells what clients have taken")

LONG = SHORT_BYTES + 1


class Pairs:
    """Connections of a listening socket, each with its client."""

    def __init__(self, held: ExitStack) -> None:
        self.held = held
        self.listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = int(self.listener.getsockname()[1])

    def connect(self, waiting: int = 0) -> tuple[socket.socket, socket.socket]:
        """Client and server; the server has sent so many bytes, of which the client's own buffer takes a few."""
        client = self.held.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.port))
        server = self.held.enter_context(self.listener.accept()[0])
        server.setblocking(False)
        if waiting:
            server.send(b"x" * waiting)
        return client, server


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    with ExitStack() as held:
        yield Pairs(held)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Without its thread: a test says when it looks."""
    watch = Watch()
    watch.is_running = True
    monkeypatch.setattr(unread, "WATCH", watch)
    return watch


def read_all(client: socket.socket) -> bytes:
    client.settimeout(0.2)
    found = b""
    try:
        while piece := client.recv(100_000):
            found += piece
    except TimeoutError:
        return found
    return found


def send(size: int) -> Callable[..., list[bytes]]:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * size]

    return application


def count_cuts() -> float:
    return sum(numbers[0] for key, numbers in TABLES.add_up().items() if key[0] == "slow_readers")


def test_who_reads_nothing_is_cut_and_counted(pairs: Pairs, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "UNREAD_SECONDS", 0.05)
    (_, to_deaf), (slow, to_slow), (_, to_idle) = (pairs.connect(waiting) for waiting in (200_000, 200_000, 0))
    before = count_cuts()
    watch.port = pairs.port
    watch.add("127.0.0.1", pairs.port, 200_000)
    watch.look()
    time.sleep(0.1)  # twice what a client may read nothing
    taken = 0
    while taken < 2 * LEAST_BYTES:
        taken += len(slow.recv(100_000))
    watch.look()
    assert count_cuts() - before == 1
    with pytest.raises(BrokenPipeError):
        to_deaf.send(b"more")
    read_all(slow)
    for server in (to_slow, to_idle):
        assert server.send(b"more") == 4


def test_an_address_that_leaves_too_much_unread_gets_no_more_long_answers(
    pairs: Pairs, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "MOST_BYTES", 2 * LONG)
    monkeypatch.setattr(unread, "PRESSED_SECONDS", -1)
    connections = [pairs.connect(200_000) for _ in range(3)]
    here = {"REMOTE_ADDR": "127.0.0.1", "SERVER_PORT": str(pairs.port)}
    watch.port = pairs.port
    answers = UnreadAnswers(send(LONG))
    assert [ask(answers, "/", **here)[0] for _ in range(2)] == ["200 OK", "200 OK"]
    status, body, _ = ask(answers, "/", **here)
    assert (status, b"answers to 127.0.0.1 wait to be read" in body) == ("503 Service Unavailable", True)
    assert ask(answers, "/", **here | {"REMOTE_ADDR": "192.0.2.1"})[0] == "200 OK"
    assert ask(UnreadAnswers(send(SHORT_BYTES)), "/", **here)[0] == "200 OK"
    for client, _ in connections:
        read_all(client)
    assert ask(answers, "/", **here)[0] == "200 OK"


def test_who_reads_is_never_refused(pairs: Pairs, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "MOST_BYTES", 2 * LONG)
    here = {"REMOTE_ADDR": "127.0.0.1", "SERVER_PORT": str(pairs.port)}
    watch.port = pairs.port
    answers = UnreadAnswers(send(LONG))
    assert {ask(answers, "/", **here)[0] for _ in range(20)} == {"200 OK"}
    watch.look()
    assert watch.addresses == {}


def test_who_reads_fast_is_never_refused(pairs: Pairs, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each look an answer is on its way, and MOST_BYTES of them are taken before PRESSED_SECONDS are over."""
    monkeypatch.setattr(unread, "MOST_BYTES", 20 * LONG)
    monkeypatch.setattr(unread, "PRESSED_SECONDS", 60)
    here = {"REMOTE_ADDR": "127.0.0.1", "SERVER_PORT": str(pairs.port)}
    watch.port = pairs.port
    pairs.connect(200_000)
    answers = UnreadAnswers(send(LONG))
    assert {ask(answers, "/", **here)[0] for _ in range(200)} == {"200 OK"}


def test_behind_a_proxy_nobody_is_watched(watch: Watch, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRUSTED_PROXIES = 1
    monkeypatch.setattr(unread, "MOST_BYTES", 1)
    assert ask(UnreadAnswers(send(LONG)), "/", REMOTE_ADDR="127.0.0.1")[0] == "200 OK"
    assert watch.addresses == {}


def test_streams_hold_only_so_many_threads(watch: Watch) -> None:
    ended: list[int] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body(ended)

    answers = UnreadAnswers(application)
    answers.streams = Share(range(1))
    held = answers({"REMOTE_ADDR": "192.0.2.1"}, lambda *_: None)
    assert watch.addresses["192.0.2.1"].streams == 1
    assert ask(answers, "/", REMOTE_ADDR="192.0.2.2")[0] == "503 Service Unavailable"
    assert len(ended) == 1  # its own body
    held.close()  # type: ignore[attr-defined]
    assert ask(answers, "/", REMOTE_ADDR="192.0.2.2")[1] == b"piece"


class Body:
    def __init__(self, ended: list[int]) -> None:
        self.ended = ended

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"piece"])

    def close(self) -> None:
        self.ended.append(1)
