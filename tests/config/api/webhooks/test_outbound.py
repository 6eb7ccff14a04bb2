"""Nothing is sent into our own network, in whatever form its address is written, resolved or redirected to."""

import socket
import time
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest

from config.api.webhooks import outbound
from config.api.webhooks.outbound import AddressRefused, check_address, check_url, open_pool, post
from tests.config.api.webhooks.conftest import Receiver

REFUSED = (
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "fec0::1"),
    # IPv4 inside IPv6: mapped, compatible, NAT64, 6to4, Teredo.
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "::ffff:0:7f00:1", "64:ff9b:1:7f00:0:100::", "fe80::5efe:7f00:1"),
    # ISATAP, with and without the bit of an address that is unique in the world.
    *("2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1"),
    *("168.63.129.16", "::ffff:168.63.129.16", "192.88.99.1", "3fff::1", "100::1", "5f00::1", "fd00:ec2::254"),
)


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(address)


def test_addresses_of_the_internet_and_allowed_networks_pass(settings: Any) -> None:
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"):
        check_address(address)
    settings.WEBHOOK_ALLOW_NETWORKS = ["10.1.0.0/16", "fd00::/8"]
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        check_address(address)
    for address in ("10.2.0.1", "127.0.0.1"):
        with pytest.raises(AddressRefused):
            check_address(address)


# 127.0.0.1 as resolvers read it, too.
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "0", "0x7f.1"]
)
def test_no_way_to_write_this_machine_leads_to_it(host: str, receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    port = receiver.server.server_address[1]
    with open_pool() as pool:
        answer = post(pool, f"http://{host}:{port}/", {}, b"{}")
    assert answer.status is None
    assert "WEBHOOK_ALLOW_NETWORKS" in answer.error
    assert not receiver.received


def test_the_address_that_was_checked_is_the_one_that_is_used(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to the internet at first, and to this machine a moment later."""
    settings.WEBHOOK_ALLOW_NETWORKS = []
    port, asked = receiver.server.server_address[1], []

    def rebind(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", rebind)
    connected: list[str] = []

    def connect(_: Any, host: str, *__: Any, **___: Any) -> Any:
        connected.append(host)
        raise outbound.httpcore.ConnectError("unreachable")

    monkeypatch.setattr(outbound.httpcore.SyncBackend, "connect_tcp", connect)
    for _ in range(2):
        with open_pool() as pool:
            assert post(pool, f"http://rebind.example:{port}/", {}, b"{}").status is None
    assert connected == ["93.184.215.14"]


def test_this_machines_own_address_of_the_internet_is_refused(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    # As if the address of this machine were one of the internet.
    monkeypatch.setattr(outbound, "check_address", lambda _: None)
    with open_pool() as pool:
        answer = post(pool, receiver.url, {}, b"{}")
    assert (answer.status, answer.error[:41]) == (None, "127.0.0.1 is this machine's own address, ")
    assert not receiver.received


def test_one_private_address_among_a_names_addresses_is_not_used(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: found)
    with open_pool() as pool:
        assert "10.0.0.1" in post(pool, "http://two.example/", {}, b"{}").error


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [302]
    receiver.headers = {"Location": "http://169.254.169.254/latest/meta-data/"}
    with open_pool() as pool:
        answer = post(pool, receiver.url, {}, b"{}")
    assert (answer.status, answer.is_success, len(receiver.received)) == (302, False, 1)


def test_a_name_that_is_never_resolved_is_left_at_the_deadline(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 0.2)
    hangs = Event()
    monkeypatch.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: hangs.wait(30))
    began = time.monotonic()
    with open_pool() as pool:
        answer = post(pool, "http://hangs.example/", {}, b"{}")
    hangs.set()
    assert time.monotonic() - began < 5
    assert (answer.status, answer.error) == (None, "no answer in time: hangs.example wasn't resolved within 0.2 s")


def test_a_receiver_that_drips_is_left_at_the_deadline(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    monkeypatch.setattr(outbound, "ATTEMPT_SECONDS", 0.3)
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        peer, _ = server.accept()
        with peer, suppress(OSError):
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
                peer.send(bytes([letter]))
                time.sleep(0.02)  # as a slow receiver does

    dripping = Thread(target=drip, daemon=True)
    dripping.start()
    with open_pool() as pool:
        answer = post(pool, f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}")
    dripping.join()
    server.close()
    assert (answer.status, answer.error[:17]) == (None, "no answer in time")
    assert answer.milliseconds < 2_000


@pytest.mark.parametrize(
    ("said", "status", "text"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nfine", 200, "fine"),
        (b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 202, ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nbroken", 200, "broken"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 100\r\n\r\nbroken", 410, "broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + b"\x1f\0" * 9_999, 200, "\x1f\ufffd" * 250),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000, None, ""),
        (b"SSH-2.0-OpenSSH_9\r\n", None, ""),
        (b"", None, ""),
    ],
)
def test_the_status_is_the_answer_whatever_the_body_is(
    said: bytes, status: int | None, text: str, settings: Any
) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    server = socket.create_server(("127.0.0.1", 0))

    def answer_once() -> None:
        peer, _ = server.accept()
        with peer, suppress(OSError):
            peer.recv(65536)
            peer.sendall(said)

    answering = Thread(target=answer_once, daemon=True)
    answering.start()
    with open_pool() as pool:
        answer = post(pool, f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}")
    answering.join()
    server.close()
    assert (answer.status, answer.text) == (status, text)
    assert bool(answer.error) is (status is None)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://shop.example/",
            "shop.example/hook",
            "//shop.example/",
            "http:///hook",
            "http://[::1",
            "file:///etc/x",
        ),
        *("https://me:secret@shop.example/", "https://shop.example/#part", "https://caf\u00e9.example/", "http://a b/"),
        *("http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/", "http://shop.example:99999/"),
        *("http://shop.example:0/", "http://shop.example:25/", "http://shop.example:+80/", "HTTP://10.0.0.1?x"),
        *("http:10.0.0.1", "http://shop.example\\@127.0.0.1/", "http://[fe80::1%25eth0]/", "http://[::1%25lo]/"),
    ],
)
def test_a_url_that_can_not_be_sent_to_is_refused_when_it_is_given(url: str, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_NETWORKS = []
    with pytest.raises(ValueError, match=r"\w"):
        check_url(url)
