"""Batches in, each written in a transaction of its own by one of two threads, and committed in their order."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from threading import Condition

from django.db import connection, transaction

from config.api.database.ahead import read_ahead
from config.process.collector import pause_collector

# While one makes rows, the database works for the other. A third finds no processor that is free.
WRITERS = 2


class GivenUpError(Exception):
    """A batch before this one has failed, or nobody waits for it any more: it is rolled back."""


class Turns:
    """Lets batches pass in their order, up to the first that fails."""

    def __init__(self, number: int) -> None:
        self.passed, self.left, self.news = 0, number, Condition()

    @contextmanager
    def queue(self, place: int) -> Iterator[Callable[[], None]]:
        """The block calls the function to wait for its turn, and the next one passes when the block ends."""
        try:
            yield lambda: self.wait(place)
        except BaseException:
            self.end(place)
            raise
        with self.news:
            self.passed += 1
            self.news.notify_all()

    def wait(self, place: int) -> None:
        with self.news:
            self.news.wait_for(lambda: self.passed == place or self.left <= place)
            if self.left <= place:
                raise GivenUpError

    def end(self, place: int) -> None:
        """From this place on none passes."""
        with self.news:
            self.left = min(self.left, place)
            self.news.notify_all()


def write_by_two[Batch](batches: Sequence[Batch], write: Callable[[Batch], int]) -> Iterator[int]:
    """What `write` returns of each batch, after its commit. Killed at any time, it leaves no batch out."""
    turns = Turns(len(batches))
    writers = [read_ahead(write_share(batches, number, write, turns)) for number in range(WRITERS)]
    try:
        for writer in cycle(writers):
            if not (size := next(writer, 0)):
                return
            yield size
    finally:
        turns.end(0)
        for writer in writers:
            writer.close()


def write_share[Batch](
    batches: Sequence[Batch], first: int, write: Callable[[Batch], int], turns: Turns
) -> Generator[int]:
    for place in range(first, len(batches), WRITERS):
        with turns.queue(place) as wait, pause_collector(), transaction.atomic():
            size = write(batches[place])
            connection.check_constraints()  # now, not at the commit, where the other would wait for it
            wait()
        yield size
