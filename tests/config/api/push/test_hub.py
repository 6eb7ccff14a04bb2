"""The hub of streams, turn by turn: who is read for, how often, and what ends a stream."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from rest_framework.exceptions import NotAuthenticated, PermissionDenied

from config.api.freshness.leases import FRESHNESS
from config.api.problems.errors import ApiError
from config.api.push import hub as hubs
from config.api.push.hub import Hub, TooManyStreams
from config.api.push.streams import Page, Row, Stream, write_event
from config.process.draining import DRAIN
from tests.conftest import JOIN

PAGE = 10


class Numbers:
    """The rows 1 to `newest`, a page at a time. Even ones are of the kind "even"."""

    def __init__(self) -> None:
        self.newest, self.first, self.reads = 0, 0, 0

    def read_newest(self) -> int:
        return self.newest

    def read_page(self, after: int, caller: Any) -> Page:
        self.reads += 1
        if after < self.first:
            raise ApiError("Gone.")
        end = min(after + PAGE, self.newest)
        rows = [Row(n, "odd" if n % 2 else "even", write_event(n, {"n": n})) for n in range(after + 1, end + 1)]
        return Page(rows, end)

    def name_sight(self, caller: Any) -> Any:
        return caller.pk


class Wire:
    """A channel whose client reads as much as `has_room` says."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.is_open, self.has_room, self.was_cut = True, True, False

    def open(self) -> None:
        pass

    def write(self, block: bytes) -> None:
        self.blocks.append(block)

    def end(self) -> None:
        self.is_open = False

    def cut(self) -> None:
        self.was_cut = True
        self.end()

    @property
    def ids(self) -> list[int]:
        """The positions of the events."""
        events = b"".join(self.blocks).split(b"\n\n")
        return [int(event.split()[1]) for event in events if b"\ndata: " in event and b"event:" not in event]

    @property
    def text(self) -> bytes:
        return b"".join(self.blocks)


@pytest.fixture(autouse=True)
def streams_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "join", JOIN)


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture
def hub(numbers: Numbers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub without a thread: each test takes its turns."""
    monkeypatch.setattr(FRESHNESS, "read", lambda: None)
    hub = Hub(numbers)
    hub.is_running = True
    yield hub
    assert hub.count == len(hub.streams)


def open_stream(hub: Hub, after: int = 0, kinds: str = "", find_caller: Any = AnonymousUser) -> tuple[Stream, Any]:
    hub.reserve(100)
    stream = Stream(after, frozenset(kinds.split()), AnonymousUser(), "me", find_caller)
    stream.channel = Wire()
    hub.join(stream)
    hub.turn()
    return stream, stream.channel


def test_streams_at_one_place_share_each_read(hub: Hub, numbers: Numbers) -> None:
    wires = [open_stream(hub)[1] for _ in range(5)]
    numbers.newest = 3
    hub.turn()
    assert numbers.reads == 1
    assert [wire.ids for wire in wires] == [[1, 2, 3]] * 5
    assert wires[0].text.startswith(b"retry: 2000\nid: 0\n\nid: 1\ndata: {")
    hub.turn()
    assert numbers.reads == 1, "nothing is new, so nothing is read"


def test_one_that_resumes_catches_up_and_then_shares(hub: Hub, numbers: Numbers) -> None:
    numbers.newest = 35
    _, late = open_stream(hub, after=2)
    _, now = open_stream(hub, after=35)
    numbers.newest, reads = 36, numbers.reads
    hub.turn()
    assert late.ids == list(range(3, 37))
    assert (now.ids, numbers.reads) == ([36], reads + 1)


def test_only_wanted_kinds_come_and_a_comment_has_the_place(
    hub: Hub, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, wire = open_stream(hub, kinds="even")
    numbers.newest = 5
    hub.turn()
    assert wire.ids == [2, 4]
    monkeypatch.setattr(hubs, "BEAT_SECONDS", -1.0)
    hub.turn()
    assert wire.blocks[-1] == b":\nid: 5\n\n"
    hub.turn()
    assert wire.blocks[-1] == b":\n\n"


def test_a_client_that_does_not_read_costs_nothing_and_misses_nothing(hub: Hub, numbers: Numbers) -> None:
    _, slow = open_stream(hub)
    _, quick = open_stream(hub)
    slow.has_room = False
    numbers.newest = 25
    hub.turn()
    assert (slow.ids, quick.ids) == ([], list(range(1, 26)))
    slow.has_room = True
    hub.turn()
    assert slow.ids == quick.ids


def test_a_client_that_never_reads_is_cut(hub: Hub, numbers: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    _, slow = open_stream(hub)
    slow.has_room, numbers.newest = False, 1
    hub.turn()
    hub.turn()
    assert slow.is_open
    monkeypatch.setattr(hubs, "STUCK_SECONDS", -1.0)
    hub.turn()
    assert (slow.was_cut, hub.streams, hub.count) == (True, [], 0)


@pytest.mark.parametrize("error", [NotAuthenticated(), PermissionDenied()])
def test_a_caller_without_the_right_is_told_and_ended(
    error: Exception, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find() -> Any:
        raise error

    _, ended = open_stream(hub, find_caller=find)
    assert ended.is_open, "rights are read every few seconds"
    monkeypatch.setattr(hubs, "CHECK_SECONDS", -1.0)
    hub.turn()
    assert not ended.is_open
    assert b"event: end\ndata: {" in ended.blocks[-1]


def test_callers_with_the_same_token_are_looked_up_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def find() -> Any:
        asked.append(1)
        return AnonymousUser()

    for _ in range(5):
        open_stream(hub, find_caller=find)
    monkeypatch.setattr(hubs, "CHECK_SECONDS", -1.0)
    hub.turn()
    assert len(asked) == 1
    assert len(hub.streams) == 5


def test_a_place_that_is_no_longer_known_ends_the_stream(hub: Hub, numbers: Numbers) -> None:
    _, wire = open_stream(hub)
    numbers.newest, numbers.first = 9, 5
    hub.turn()
    assert not wire.is_open
    assert b"event: end\n" in wire.blocks[-1]


def test_a_draining_process_ends_its_streams(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    _, wire = open_stream(hub)
    monkeypatch.setattr(DRAIN, "has_begun", True)
    hub.turn()
    assert (wire.is_open, hub.count) == (False, 0)


def test_a_database_that_is_away_ends_no_stream(
    hub: Hub, numbers: Numbers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, wire = open_stream(hub)

    def fail() -> int:
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(numbers, "read_newest", fail)
        for _ in range(3):
            with hub.note_failures():
                hub.turn()
    assert [record.getMessage() for record in caplog.records] == ["Streams get no events now: away"]
    numbers.newest = 2
    hub.turn()
    assert wire.ids == [1, 2]


def test_past_its_places_nobody_gets_a_stream(hub: Hub) -> None:
    hub.reserve(1)
    with pytest.raises(TooManyStreams) as raised:
        hub.reserve(1)
    assert (raised.value.status_code, raised.value.wait) == (503, 5)
    hub.release()


def test_while_somebody_waits_for_a_place_streams_soon_show_whether_they_are_there(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "PROBE_SECONDS", -1.0)
    _, wire = open_stream(hub)
    hub.turn()
    blocks = len(wire.blocks)
    with pytest.raises(TooManyStreams):
        hub.reserve(1)
    hub.turn()
    assert wire.blocks[blocks:] == [b":\n\n"]


def test_the_thread_ends_with_the_last_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FRESHNESS, "read", lambda: None)
    monkeypatch.setattr(hubs, "LOOK_SECONDS", 0.01)
    hub = Hub(Numbers())
    hub.reserve(1)
    stream = Stream(0, frozenset(), AnonymousUser(), "me", AnonymousUser)
    stream.channel = Wire()
    hub.join(stream)
    stream.channel.end()
    end = time.monotonic() + 10
    while hub.is_running and time.monotonic() < end:
        time.sleep(0.01)  # the thread tells nobody
    assert (hub.is_running, hub.count) == (False, 0)
