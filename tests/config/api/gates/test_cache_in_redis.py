"""What processes share through Redis: an answer of one is every other's; whatever else lies there is passed over."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import orjson
import pytest
from django.conf import settings as current
from django.core.cache import caches
from django_redis import get_redis_connection
from django_redis.cache import RedisCache

from config.api.freshness.leases import FRESHNESS, Freshness
from config.api.gates import in_redis
from config.api.gates.cache_gate import CACHE
from config.api.gates.entries import Entry, Stamp
from config.logs import RequestLine
from tests.factories import make_brand
from tests.fleets import stop_redis
from tests.gates import UNPACK, Ask, Django, names, run_elsewhere, warm, write_past_django
from tests.services import RedisServer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not current.REDIS_URL, reason="Redis: needs TEST_BACKEND=production"),
]

BRANDS = "/api/v1/brands/"
PATTERN = "tenfold:1:answer:*"


@pytest.fixture
def redis() -> Any:
    return get_redis_connection("default")


@pytest.fixture(autouse=True)
def redis_answers() -> None:
    """A busy machine may have taken a tenth of a second for a call of the test before."""
    in_redis.BREAKER.is_open = False


def begin_anew() -> None:
    """As a process that has just started: only Redis knows anything."""
    CACHE.clear()


def test_a_fresh_process_finds_what_another_filled(ask: Ask, django: Django, request_lines: list[RequestLine]) -> None:
    make_brand("Acme")
    filled = warm(ask, BRANDS)[2]
    begin_anew()
    asked = django.asked
    status, headers, body = ask(BRANDS)
    assert (status, headers["X-Cache"], body, django.asked) == (200, "hit", filled, asked), "at first sight"
    assert [line.rows for line in request_lines] == [1] * 3


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_an_answer_is_compressed_once_for_all_processes(coding: str, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        make_brand(f"Brand {number:03}")
    plain = warm(ask, BRANDS)[2]
    packed = ask(BRANDS, HTTP_ACCEPT_ENCODING=coding)[2]
    begin_anew()
    monkeypatch.setattr("config.api.gates.entries.compress", lambda body, coding: 1 / 0)
    _, headers, body = ask(BRANDS, HTTP_ACCEPT_ENCODING=coding)
    assert (headers["X-Cache"], headers["Content-Encoding"], body) == ("hit", coding, packed)
    assert UNPACK[coding](body) == plain


@pytest.mark.parametrize("address", [BRANDS, f"{BRANDS}?prise=1"], ids=["kept", "refused"])
def test_a_process_that_has_filled_leaves_no_claim(address: str, ask: Ask, redis: Any) -> None:
    """Else the next to fill, after a write, would wait for somebody who is done."""
    make_brand("Acme")
    warm(ask, address)
    assert not list(redis.scan_iter(f"{PATTERN}:claim"))


def share(ask: Ask, redis: Any) -> list[bytes]:
    """The keys of an answer that lies in Redis; again, where it was too slow to take it."""
    end = time.monotonic() + 20
    while not (keys := list(redis.scan_iter(PATTERN))):
        assert time.monotonic() < end
        begin_anew()
        warm(ask, BRANDS)
    return keys


GARBAGE = [
    b"", b"\n", b"[]\n{}", b"{}\n", b"not json\n{}", pickle.dumps({"results": []}),
    b'[2, "epoch", 1, [], "route", "", 0, 1, []]',  # another epoch's
    b'[2, 2, 3, 4, 5, 6, 7, 8, 9]\n{"results": []}',
    b'[2, "EPOCH", "9", ["catalog_brand"], "route", "", 0, 1, []]\n{"results": []}',
    b'[2, "EPOCH", 9, ["catalog_brand"], "route", "", 0, 1, [["ETag", 7]]]\n{"results": []}',
    b'[2, "EPOCH", 9, ["catalog_brand"], "route", "", 0, "1", []]\n{"results": []}',
    b'[2, "EPOCH", null, null, null, null, null, null, null]\n{"results": []}',
    b'[1, "EPOCH", 9, [], "route", "", 0, 1, []]\n{"results": []}',  # of another form
    b'["EPOCH", 9, [], "route", "", 0, 1, []]\n{"results": []}',  # of the first form
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE)
def test_bytes_that_are_no_entry_are_ignored(garbage: bytes, ask: Ask, redis: Any) -> None:
    make_brand("Acme")
    keys = share(ask, redis)
    epoch = orjson.loads(redis.get(keys[0]).partition(b"\n")[0])[1]
    for key in keys:
        redis.set(key, garbage.replace(b"EPOCH", epoch.encode()), ex=60)
    begin_anew()
    for _ in range(4):
        answer = ask(BRANDS)
        assert (answer[0], names(answer)) == (200, ["Acme"])


def test_another_release_keeps_answers_of_its_own(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log knows of changed rows, not of changed code."""
    make_brand("Acme")
    warm(ask, BRANDS)
    begin_anew()
    monkeypatch.setattr(in_redis, "find_release", lambda: "the next one's")
    assert [ask(BRANDS)[1]["X-Cache"] for _ in range(3)] == ["miss", "miss", "hit"]


def test_entries_are_bytes_that_expire(ask: Ask, redis: Any) -> None:
    make_brand("Acme")
    keys, body = share(ask, redis), ask(BRANDS)[2]
    for key in keys:
        packed = redis.get(key)
        head, _, kept = packed.partition(b"\n")
        assert (kept, isinstance(orjson.loads(head), list)) == (body, True)
        # Django's own cache API finds the same bytes, and unpickles nothing.
        assert caches["default"].get(key.decode().removeprefix("tenfold:1:")) == packed
        assert 0 < redis.ttl(key) <= in_redis.ENTRY_SECONDS


@pytest.fixture
def other_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """One that may be harmed."""
    server = RedisServer()
    cache = RedisCache(server.url, current.CACHES["default"])
    client = cache.client.get_client()
    monkeypatch.setattr(in_redis, "caches", {"default": cache})
    monkeypatch.setattr("config.api.access.breaker.get_redis_connection", lambda alias: client)
    yield server
    client.connection_pool.disconnect()
    stop_redis(server)


def test_a_full_redis_refuses_no_reader(ask: Ask, django: Django, other_redis: RedisServer) -> None:
    other_redis.ask("CONFIG", "SET", "maxmemory", "1")
    other_redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    make_brand("Acme")
    answers = [ask(BRANDS) for _ in range(5)]
    assert [(answer[0], answer[1]["X-Cache"]) for answer in answers[2:]] == [(200, "hit")] * 3
    assert not other_redis.ask("DBSIZE")
    assert django.asked == 2


def count_calls(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Of the cache to Redis, those of the breaker's thread not among them."""
    counted = MagicMock()
    counted.__getitem__.return_value = in_redis.caches["default"]
    monkeypatch.setattr(in_redis, "caches", counted)
    return counted.__getitem__


def leave(server: RedisServer) -> None:
    server.stop()


def hang(server: RedisServer) -> None:
    server.process.send_signal(signal.SIGSTOP)


@pytest.mark.parametrize("trouble", [leave, hang])
def test_a_redis_that_fails_is_asked_once_and_for_a_tenth_of_a_second(
    trouble: Callable[[RedisServer], None],
    ask: Ask,
    other_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_brand("Acme")
    calls, seconds = count_calls(monkeypatch), list[float]()
    trouble(other_redis)
    for number in range(20):
        for _ in range(2):
            began = time.monotonic()
            assert ask(f"{BRANDS}?page_size={number + 1}")[0] == 200
            seconds.append(time.monotonic() - began)
    assert calls.call_count == 1
    assert caplog.text.count("Redis doesn't answer") == 1
    assert max(seconds) < 0.1 + 0.5  # the rest is for a machine that does other things


def test_who_finds_no_free_connection_waits_for_one() -> None:
    """A flood isn't a Redis that is away: the breaker would open, and rates go uncounted."""
    pool: Any = get_redis_connection("default").connection_pool
    taken = [pool.get_connection() for _ in range(pool.max_connections)]
    soon = threading.Timer(0.02, lambda: pool.release(taken.pop()))
    soon.start()
    try:
        assert in_redis.ask(lambda kept: kept.add("a key", b"1"), otherwise=False)
    finally:
        soon.join()
        for connection in taken:
            pool.release(connection)
    assert not in_redis.BREAKER.is_open


def test_a_waiting_request_takes_an_entry_filled_with_a_newer_lease(
    ask: Ask, django: Django, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each write that comes between two processes' leases would cost the later one its whole wait."""
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 20
    ask(BRANDS)
    theirs, filled = Freshness(), list[Entry]()
    theirs.follow_log(FRESHNESS.follow, FRESHNESS.tables)
    theirs.epoch_suffix = FRESHNESS.epoch_suffix  # a test before may have emptied the log

    def fill_elsewhere(*question: Any) -> bool:
        run_elsewhere(lambda: write_past_django("UPDATE catalog_brand SET name = 'Theirs'"))
        lease = theirs.read()
        assert lease
        stamp = Stamp(lease.epoch, lease.position, frozenset({"catalog_brand"}))
        filled.append(Entry(stamp, "brands/", [("Content-Type", "application/json")], b'{"results": []}'))
        return False  # the claim is theirs

    monkeypatch.setattr(in_redis, "claim", fill_elsewhere)
    monkeypatch.setattr(in_redis, "find", lambda *question: filled)
    asked = django.asked
    assert (ask(BRANDS)[2], django.asked) == (b'{"results": []}', asked)
