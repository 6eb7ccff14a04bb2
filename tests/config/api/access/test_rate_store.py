"""How requests are counted: exactly, by many threads and processes at once."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier

import pytest
from django.conf import settings

from config.api.access.rate_store import InRedis, Rate, Standing, Window, find_wait, open_storage, take
from tests.launching import run_command

pytestmark = [pytest.mark.both, pytest.mark.usefixtures("fresh_counts")]


@pytest.mark.parametrize("window", [(0, 0.0, 10, 90.0), (8, 30.0, 6, 90.0), (10, 60.0, 0, 120.0), (10, 1.0, 10, 61.0)])
def test_the_wait_is_until_one_more_may_pass(window: Window) -> None:
    before, before_ttl, now, now_ttl = window
    wait = find_wait(Rate(10, 60, "minute"), window)
    if wait >= now_ttl - 60:  # the window has ended by then, and this one's count slides out
        before, before_ttl, now, now_ttl = now, now_ttl, 0, now_ttl + 60
    assert int(before * (before_ttl - wait) / 60) + now + 1 <= 10


def test_16_threads_get_exactly_as_many_as_there_are() -> None:
    rate, start = Rate(1000, 3600, "hour"), Barrier(16)

    def hit(_: int) -> list[Standing | None]:
        start.wait()
        return [take(rate, "address", "192.0.2.1") for _ in range(100)]

    with ThreadPoolExecutor(16) as pool:
        standings = list(chain.from_iterable(pool.map(hit, range(16))))
    allowed = sum(standing is not None and standing.is_allowed for standing in standings)
    # On a busy machine Redis' answer may come too late: the request passes, whether or not Redis has counted it.
    assert allowed <= 1000 <= allowed + standings.count(None)


@pytest.mark.skipif(not settings.REDIS_URL, reason="there are no scripts without Redis")
def test_a_request_is_counted_once_while_another_loads_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    rate, storage = Rate(10, 3600, "hour"), open_storage()
    assert isinstance(storage, InRedis)
    load, others = storage.storage.script_load, iter(["192.0.2.2", "192.0.2.3"])
    standings: list[Standing | None] = []

    def load_and_ask(script: str) -> None:
        load(script)
        if (other := next(others, None)) is not None:
            standings.append(take(rate, "address", other))

    storage.storage.script_flush()
    monkeypatch.setattr(storage.storage, "script_load", load_and_ask)
    standings.append(take(rate, "address", "192.0.2.1"))
    assert [standing and standing.remaining for standing in standings] == [9, 9, 9]


@pytest.mark.skipif(not settings.REDIS_URL, reason="there is no Redis: one process counts for itself")
def test_64_threads_in_4_processes_get_exactly_as_many_as_there_are() -> None:
    done = run_command("-m", "tests.takers", "12", "4", REDIS_URL=settings.REDIS_URL)
    assert done.returncode == 0, done.stderr
    passed = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("passed")]
    assert len(passed) == 4
    assert sum(passed) == 500  # of 4 * 16 * 12
    assert all(passed)
