"""The generator's items, one ahead of who uses them, and whatever it raises."""

import threading
from collections.abc import Generator

import pytest

from config.api.ahead import read_ahead
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
