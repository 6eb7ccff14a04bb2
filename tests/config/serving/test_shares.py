"""Who gets a place: whoever comes while one is free, and then the addresses in turn."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from config.api.problems.errors import Overloaded
from config.serving import shares
from config.serving.shares import Share


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


class Line:
    """Requests that wait for the places of `share`, one after the other."""

    def __init__(self, share: Share[int], callers: ThreadPoolExecutor) -> None:
        self.share, self.callers = share, callers
        self.got: list[str] = []
        self.lock = threading.Lock()

    def join(self, address: str) -> Future[bool]:
        before = self.share.waiting
        future = self.callers.submit(self.take, address)
        end = time.monotonic() + 5
        while self.share.waiting == before and not future.done() and time.monotonic() < end:
            time.sleep(0.001)  # until it waits, or is refused
        return future

    def take(self, address: str) -> bool:
        place = self.share.take(address)
        if place is None:
            return False
        with self.lock:
            self.got.append(address)
        self.share.release(address, place)
        return True


def test_addresses_take_turns(callers: ThreadPoolExecutor) -> None:
    share = Share(range(1), 40)
    place = share.take("")
    assert place is not None
    line = Line(share, callers)
    waiting = [line.join("203.0.113.9") for _ in range(16)]
    waiting += [line.join(address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")]
    share.release("", place)
    assert all(future.result() for future in waiting)
    assert line.got[:5] == ["203.0.113.9", "192.0.2.1", "192.0.2.2", "203.0.113.9", "192.0.2.1"]
    assert (share.waiting, len(share.free), share.queues) == (0, 1, {})


def test_an_address_has_all_places_or_half_of_them_if_there_are_others(
    callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = Share(range(4), 40)
    monkeypatch.setattr(shares, "COMPANY_SECONDS", -1)
    held = [share.take("203.0.113.9") for _ in range(4)]
    monkeypatch.setattr(shares, "COMPANY_SECONDS", 30)
    line = Line(share, callers)
    waiting = [line.join("203.0.113.9") for _ in range(3)] + [line.join("192.0.2.1")]
    for place in held[:2]:
        assert place is not None
        share.release("203.0.113.9", place)
    # The other one has had one of them; the second is kept for others.
    assert waiting[3].result() is True
    assert (line.got, len(share.free)) == (["192.0.2.1"], 2)
    assert share.take("192.0.2.2") is not None
    share.release("203.0.113.9", held[2] or 0)
    assert all(future.result() for future in waiting)


def test_an_ipv6_network_is_one_address() -> None:
    share = Share(range(4), 0)
    with share.hold({"REMOTE_ADDR": "2001:db8::1"}), share.hold({"REMOTE_ADDR": "2001:db8::2"}):
        assert share.held == {"2001:db8::/64": 2}
    assert share.held == {}


def test_whoever_comes_too_many_takes_the_turn_of_the_longest_queue(callers: ThreadPoolExecutor) -> None:
    share = Share(range(1), 3)
    place = share.take("")
    assert place is not None
    line = Line(share, callers)
    flood = [line.join("203.0.113.9") for _ in range(4)]
    assert flood[3].result() is False  # three may wait
    other = callers.submit(line.take, "192.0.2.1")
    assert flood[2].result(5) is False
    share.release("", place)
    assert other.result() is True
    assert [future.result() for future in flood[:2]] == [True, True]


def test_a_refused_waiter_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.01)
    share = Share(range(1), 3)
    place = share.take("")
    assert place is not None
    with pytest.raises(Overloaded), share.hold({"REMOTE_ADDR": "192.0.2.1"}):
        pass
    assert time.monotonic() - share.refused_at < 1
    assert (share.waiting, share.queues) == (0, {})
    share.release("", place)
    assert share.take("") == place


@pytest.mark.slow
def test_no_place_is_lost_among_many_threads(callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places come while those who wait give up."""
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.001)
    share = Share(range(3), 8)

    def ask(number: int) -> None:
        for _ in range(200):
            with suppress(Overloaded), share.hold({"REMOTE_ADDR": str(number % 5)}):
                time.sleep(0.0005)

    list(callers.map(ask, range(20)))
    assert (sorted(share.free), share.waiting, share.queues, share.held) == ([0, 1, 2], 0, {}, {})
