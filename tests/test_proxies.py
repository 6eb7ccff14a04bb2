"""The tests' own proxy: each fault is what it says, and ends when it is taken back."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.proxies import SLOW_SECONDS, Fault, FaultProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_echo, args=(listener, b""), daemon=True).start()
        yield listener.getsockname()[1]


def serve_echo(listener: socket.socket, greeting: bytes) -> None:
    def answer(line: socket.socket) -> None:
        with line, suppress(ConnectionError):  # whoever asked may leave before the last byte
            line.sendall(greeting)
            while data := line.recv(1024):
                line.sendall(data)

    try:
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
    except OSError:
        return  # the fixture's end


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as proxy:
        yield proxy


def open_line(proxy: FaultProxy, patience: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=patience)


def ask(line: socket.socket, text: bytes = b"hello") -> float:
    """The seconds until `text` came back."""
    began = time.monotonic()
    line.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = line.recv(1024)
        if not piece:
            raise ConnectionError("the line was closed")
        got += piece
    assert got == text
    return time.monotonic() - began


def test_without_a_fault_the_proxy_changes_nothing(proxy: FaultProxy) -> None:
    with open_line(proxy) as line:
        assert ask(line, b"x" * 100_000) < 2


def test_refused_cuts_what_was_open_and_refuses_what_comes(proxy: FaultProxy) -> None:
    with open_line(proxy) as line:
        ask(line)
        with proxy.failing(Fault.REFUSED):
            with pytest.raises(ConnectionError):
                ask(line)
            with pytest.raises(ConnectionRefusedError):
                open_line(proxy)
    with open_line(proxy) as line:
        ask(line)


def test_hung_accepts_everything_and_answers_nothing(proxy: FaultProxy) -> None:
    with open_line(proxy, patience=0.2) as line:
        ask(line)
        with proxy.failing(Fault.HUNG):
            with pytest.raises(TimeoutError):
                ask(line, b"a")
            with open_line(proxy, patience=0.2) as other, pytest.raises(TimeoutError):
                ask(other)
        line.settimeout(5)
        assert line.recv(1) == b"a", "what hung comes when the line is back"


def test_slow_takes_its_time_each_way(proxy: FaultProxy) -> None:
    with open_line(proxy) as line, proxy.failing(Fault.SLOW):
        assert ask(line) >= 2 * SLOW_SECONDS


def test_a_trickle_is_a_byte_a_second(proxy: FaultProxy) -> None:
    with open_line(proxy, patience=0.5) as line, proxy.failing(Fault.TRICKLE):
        line.sendall(b"ab")
        assert line.recv(10) == b"a"
        with pytest.raises(TimeoutError):
            line.recv(10)


def test_another_server_takes_the_address_over(proxy: FaultProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as second, open_line(proxy) as line:
        ask(line)
        threading.Thread(target=serve_echo, args=(second, b"second"), daemon=True).start()
        proxy.switch(second.getsockname()[1])
        with pytest.raises(ConnectionError):
            ask(line)
        with open_line(proxy) as line_after:
            assert line_after.recv(6) == b"second"
