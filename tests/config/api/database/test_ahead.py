"""The generator's items, one ahead of who uses them, and whatever it raises."""

import threading
import time
from collections.abc import Generator
from functools import partial

import pytest

from config.api.database.ahead import call_ahead, read_ahead
from config.logs import REQUEST_ID


def count_to(number: int, made: list[int], closed: list[str]) -> Generator[int]:
    try:
        for item in range(1, number + 1):
            made.append(item)
            yield item
    finally:
        closed.append(threading.current_thread().name)


def test_each_item_comes_once_and_in_order() -> None:
    assert list(read_ahead(count_to(5, [], []))) == [1, 2, 3, 4, 5]
    assert list(read_ahead(count_to(0, [], []))) == []


def test_one_item_is_made_ahead_and_no_more() -> None:
    made: list[int] = []
    items = read_ahead(count_to(5, made, []))
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]  # it waits for what is under way
    assert made == [1, 2]


def test_who_leaves_closes_the_generator_in_its_own_thread() -> None:
    closed: list[str] = []
    items = read_ahead(count_to(5, [], closed))
    next(items)
    items.close()  # type: ignore[attr-defined]  # a generator, as it is written
    assert [name.startswith("read-ahead") for name in closed] == [True]


def test_what_the_generator_raises_comes_in_its_turn() -> None:
    def fail() -> Generator[int]:
        yield 1
        raise RuntimeError("lost")

    items = read_ahead(fail())
    assert next(items) == 1
    with pytest.raises(RuntimeError, match="lost"):
        next(items)


def test_the_items_are_made_in_the_callers_context() -> None:
    def make() -> Generator[str]:
        yield REQUEST_ID.get()
        yield REQUEST_ID.get()

    token = REQUEST_ID.set("mine")
    try:
        assert list(read_ahead(make())) == ["mine", "mine"]
    finally:
        REQUEST_ID.reset(token)


def take_time(number: int, begun: list[int], seconds: float = 0) -> int:
    begun.append(number)
    time.sleep(seconds)  # what is called waits for a database
    return number


@pytest.mark.parametrize("width", [1, 2])
def test_calls_run_ahead_and_answer_in_their_order(width: int) -> None:
    begun: list[int] = []
    # Each is over sooner than the one before.
    calls = (partial(take_time, number, begun, 0.02 / (number + 1)) for number in range(8))
    answers = call_ahead(calls, lambda: width)
    assert next(answers) == 0
    time.sleep(0.1)
    assert sorted(begun) == list(range(1 + width))
    assert list(answers) == list(range(1, 8))


def test_a_call_that_fails_ends_it_and_starts_no_other() -> None:
    begun: list[int] = []

    def fail() -> int:
        raise RuntimeError("lost")

    calls = iter([partial(take_time, 0, begun), fail, *(partial(take_time, number, begun) for number in range(2, 9))])
    answers = call_ahead(calls, lambda: 1)
    assert next(answers) == 0
    with pytest.raises(RuntimeError, match="lost"):
        next(answers)
    assert begun == [0]


def test_who_leaves_waits_for_no_more_than_what_is_under_way() -> None:
    begun: list[int] = []
    answers = call_ahead((partial(take_time, number, begun) for number in range(100)), lambda: 2)
    next(answers)
    answers.close()  # type: ignore[attr-defined]  # a generator, as it is written
    assert len(begun) == 3
