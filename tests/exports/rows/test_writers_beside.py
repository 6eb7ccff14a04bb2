"""An export while others write: what was there from beginning to end is in it exactly once, and it ends."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections
from django.http import QueryDict

from catalog.models import Product
from exports.management.commands.export import OPERATOR
from exports.rows.chunks import Query, find_ends, make_query, read_chunks
from tests.exports.conftest import make_many

pytestmark = pytest.mark.django_db(transaction=True)


class Writer(threading.Thread):
    """Inserts, changes and deletes products of its own, and changes everybody's, until it is told to stop."""

    def __init__(self, name: str, keys: list[int]) -> None:
        super().__init__(name=name)
        self.keys, self.done, self.rounds = keys, threading.Event(), 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.done.is_set():
                self.write()
                self.rounds += 1
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def write(self) -> None:
        added = make_many(3, prefix=f"{self.name}-{self.rounds}-")
        mine = self.keys[self.rounds % len(self.keys)]
        # Back to front in any order but the ids'.
        Product.objects.filter(pk=mine).update(title=f"Changed {self.rounds}", status="archived")
        Product.objects.filter(pk__in=[added[0].pk, added[2].pk]).delete()


@contextmanager
def writing(keys: list[int]) -> Iterator[list[Writer]]:
    writers = [Writer(f"w{number}", keys) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.done.set()
        for writer in writers:
            writer.join()
    assert [writer.error for writer in writers] == [None, None]
    assert min(writer.rounds for writer in writers) > 0


def read_ids(query: Query, writers: list[Writer]) -> Iterator[int]:
    for chunk in read_chunks(query, 0, find_ends(query)[1]):
        lines = chunk.data.splitlines()
        assert len(lines) == chunk.rows
        yield from (int(line.strip(b'{}"id:')) for line in lines)
        # On one connection after the other: the writers get their turn between two chunks.
        wait_for_a_round(writers)


def wait_for_a_round(writers: list[Writer]) -> None:
    before = sum(writer.rounds for writer in writers)
    for _ in range(200):
        if sum(writer.rounds for writer in writers) > before or any(writer.error for writer in writers):
            return
        threading.Event().wait(0.01)  # nothing tells when another thread has written


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_rows_that_stay_come_exactly_once(name: str) -> None:
    keys = [product.pk for product in make_many(60)]
    gone = keys[10:60:10]
    query = make_query("products", OPERATOR, QueryDict("fields=id"), name)
    with writing(keys) as writers:
        found: list[int] = []
        for number, key in enumerate(read_ids(query, writers)):
            found.append(key)
            if number % 9 == 0 and gone:
                Product.objects.filter(pk=gone.pop()).delete()
    stayed = set(Product.objects.filter(pk__in=keys).values_list("pk", flat=True))
    counts = Counter(found)
    assert max(counts.values()) == 1
    assert stayed <= counts.keys()
    assert found == sorted(found)
    assert not connection.in_atomic_block
