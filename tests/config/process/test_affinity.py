"""One processor a web worker: each its own, and any for a stream."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.http import StreamingHttpResponse

from config.api.database.ahead import call_ahead, read_ahead
from config.process import affinity
from config.process.affinity import Place
from config.serving.slots import RequestSlots
from tests.launching import launch_server

EVERYWHERE = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()

pytestmark = [
    pytest.mark.skipif(len(EVERYWHERE) < 2, reason="one processor, or a system that doesn't let one choose"),
    pytest.mark.once,
]


TWO = set(sorted(EVERYWHERE)[:2])


@pytest.fixture
def places(tmp_path: Path) -> Iterator[list[Place]]:
    """Three workers of one server, for two processors; afterwards everything is where it was."""
    found = [Place(tmp_path, TWO) for _ in range(3)]
    yield found
    for place in found:
        if place.lock:
            place.lock.close()
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), EVERYWHERE)


@pytest.fixture
def place(places: list[Place]) -> Place:
    os.sched_setaffinity(0, TWO)
    return places[0]


def find_threads(place: Place) -> list[set[int]]:
    """Where this thread works, and one that it starts."""
    found = [os.sched_getaffinity(0)]
    thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    return found


def test_each_worker_has_a_processor_of_its_own(places: list[Place]) -> None:
    taken = [next(filter(place.take, sorted(TWO)), None) for place in places]
    assert taken == [*sorted(TWO), None]


def test_a_worker_that_may_take_none_works_all_the_same(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError("not in this container")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    place.settle()
    place.leave()
    place.come_back()
    place.folder = tmp_path / "gone"
    assert not place.take(min(TWO))
    monkeypatch.undo()
    assert os.sched_getaffinity(0) == TWO


def test_a_dead_workers_processor_is_free_again(places: list[Place]) -> None:
    first, second, _ = places
    processor = min(TWO)
    assert first.take(processor)
    assert not second.take(processor)
    assert first.lock
    first.lock.close()  # as the kernel does at its end
    assert second.take(processor)


def test_a_worker_that_is_one_too_many_goes_anywhere(places: list[Place], place: Place) -> None:
    for other, processor in zip(places[1:], TWO, strict=True):
        other.take(processor)
    place.settle()
    assert place.here == place.all == os.sched_getaffinity(0)


def test_threads_are_where_their_worker_is(place: Place) -> None:
    place.settle()
    assert find_threads(place) == [place.here] * 2
    assert len(place.here) == 1


def test_a_settled_worker_still_knows_how_many_processors_there_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.settle()
    assert affinity.count_processors() == 1  # of somebody who doesn't know his place
    monkeypatch.setattr(affinity, "PLACE", place)
    assert affinity.count_processors() == 2


@pytest.mark.usefixtures("place")
def test_a_web_worker_settles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(affinity, "PLACE", affinity.PLACE)  # put back afterwards
    monkeypatch.setenv("METRICS_FOLDER", str(tmp_path))
    affinity.settle()
    assert isinstance(affinity.PLACE, Place)
    assert affinity.PLACE.lock
    affinity.PLACE.lock.close()
    assert len(os.sched_getaffinity(0)) == 1


def test_a_stream_goes_anywhere_and_its_thread_comes_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.settle()
    monkeypatch.setattr(affinity, "PLACE", place)
    where = [os.sched_getaffinity(0)]

    def stream() -> object:
        where.append(os.sched_getaffinity(0))
        yield b"text"

    slots = RequestSlots(lambda environ, start_response: StreamingHttpResponse(stream()), 1)
    body = slots({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, print)
    assert b"".join(body) == b"text"
    body.close()  # type: ignore[attr-defined]  # as servers do
    assert [*where, os.sched_getaffinity(0)] == [place.here, place.all, place.here]


def test_what_is_read_ahead_is_read_anywhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its threads are begun before the stream is, by a request that is kept where its worker is.
    place.settle()
    monkeypatch.setattr(affinity, "PLACE", place)
    where = [*call_ahead(iter([lambda: os.sched_getaffinity(0)]), lambda: 1)]
    where += read_ahead(os.sched_getaffinity(0) for _ in range(1))
    assert where == [place.all] * 2
    assert os.sched_getaffinity(0) == place.here


@pytest.mark.slow
def test_a_web_worker_stays_on_one_processor_and_its_launcher_doesnt() -> None:
    with launch_server() as (_, launched):
        launcher = launched.process.pid
        [child] = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        assert len(os.sched_getaffinity(int(child))) == 1
        assert os.sched_getaffinity(launcher) == EVERYWHERE
