"""After how many failures Redis isn't asked any more, and when it is again."""

import time
from unittest.mock import Mock

import pytest
from redis.exceptions import TimeoutError  # noqa: A004 (Redis' own)

from config.api.access import rate_store
from config.api.access.breaker import Breaker
from config.api.gates import in_redis

pytestmark = pytest.mark.both

HUNG = TimeoutError("hung")


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What the probe pings."""
    server = Mock()
    server.ping.side_effect = HUNG
    monkeypatch.setattr("config.api.access.breaker.get_redis_connection", lambda alias: server)
    monkeypatch.setattr("config.api.access.breaker.PROBE_SECONDS", 0.01)
    return server


def test_it_opens_at_the_last_of_so_many_in_a_row(redis: Mock) -> None:
    breaker = Breaker(3, "nothing is counted")
    for event in (breaker.note_failure, breaker.note_failure, breaker.note_success, breaker.note_failure):
        event(*[HUNG] * (event != breaker.note_success))
        assert not breaker.is_open
    breaker.note_failure(HUNG)
    breaker.note_failure(HUNG)
    assert breaker.is_open
    redis.ping.side_effect = None
    wait_until_closed(breaker)
    breaker.note_failure(HUNG)
    assert not breaker.is_open


@pytest.mark.parametrize("error", [HUNG, ConnectionResetError(), ValueError("I/O operation on closed file.")])
def test_whatever_a_ping_raises_the_next_one_is_tried(error: Exception, redis: Mock) -> None:
    redis.ping.side_effect = [error, error, None]
    breaker = Breaker(1, "nothing is counted")
    breaker.note_failure(HUNG)
    wait_until_closed(breaker)
    assert redis.ping.call_count == 3


def test_one_failure_stops_the_answer_cache_and_not_the_rates() -> None:
    assert (in_redis.BREAKER.most, rate_store.BREAKER.most) == (1, 3)


def test_while_it_is_open_no_rate_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Mock()
    monkeypatch.setattr(rate_store, "open_storage", lambda: storage)
    monkeypatch.setattr(rate_store.BREAKER, "is_open", True)
    assert rate_store.take(rate_store.Rate(1, 60, "minute"), "address", "192.0.2.1") is None
    assert not storage.take.called


def wait_until_closed(breaker: Breaker) -> None:
    end = time.monotonic() + 10
    while breaker.is_open:
        assert time.monotonic() < end
        time.sleep(0.01)  # the probe's thread says nothing
