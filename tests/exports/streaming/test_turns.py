"""Streams give way to requests: chunks are read in turn and with pauses while there are some, at once otherwise."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BoundedSemaphore, BrokenBarrierError, Event

import pytest
from rest_framework.test import APIClient

from config.process.activity import ACTIVITY, RECENT_SECONDS
from exports.rows.chunks import Chunk
from exports.streaming.slots import StreamSlots
from tests.exports.conftest import read_body
from tests.factories import make_product


@pytest.fixture
def streams() -> StreamSlots:
    """Of a machine with two cores."""
    slots = StreamSlots(2)
    slots.turns = BoundedSemaphore(1)
    return slots


@pytest.fixture
def company() -> Iterator[None]:
    """Requests, all the while."""
    before, ACTIVITY.at = ACTIVITY.at, float("inf")
    yield
    ACTIVITY.at = before


def meet(streams: StreamSlots, seconds: float) -> bool:
    """Whether two chunks are read at the same time."""
    barrier = Barrier(2)

    def read() -> bool:
        try:
            barrier.wait(seconds)
        except BrokenBarrierError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        return all(threads.map(streams.take_turn, [read, read]))


def test_streams_read_in_parallel_if_there_are_no_requests(streams: StreamSlots) -> None:
    ACTIVITY.at = float("-inf")
    assert meet(streams, 10)


@pytest.mark.usefixtures("company")
def test_streams_read_one_after_the_other_while_there_are_requests(streams: StreamSlots) -> None:
    assert not meet(streams, 0.3)


@pytest.mark.usefixtures("company")
def test_streams_pause_after_a_chunk_while_there_are_requests(streams: StreamSlots) -> None:
    began = time.monotonic()
    streams.take_turn(lambda: time.sleep(0.2))  # stands for a chunk
    assert time.monotonic() - began >= 0.2 * 1.5


@pytest.mark.usefixtures("company")
def test_a_chunk_that_fails_leaves_the_turn_to_the_next(streams: StreamSlots) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            streams.take_turn(lambda: 1 // 0)
    assert streams.take_turn(lambda: "read") == "read"


def test_a_request_counts_only_for_a_while() -> None:
    ACTIVITY.note()
    assert ACTIVITY.is_recent
    Event().wait(RECENT_SECONDS)
    assert not ACTIVITY.is_recent


@pytest.mark.django_db(transaction=True)
def test_each_chunk_of_a_stream_takes_its_turn(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_product()
    turns = []

    def turn(streams: StreamSlots, read: Callable[[], Chunk]) -> Chunk:
        turns.append(read())
        return turns[-1]

    monkeypatch.setattr(StreamSlots, "take_turn", turn)
    text = read_body(caller.get("/api/v1/exports/products.csv"))
    assert (len(text.splitlines()), len(turns)) == (2, 1)
