"""Positions while twenty sessions write: a follower skips nothing that commits late, and sees nothing twice."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection, transaction

from catalog.changes.log import number_changes
from catalog.models import Brand, Change
from tests.catalog.test_triggers_together import open_session, wait_for_block
from tests.factories import make_brand

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time"),
]

WRITERS, BRANDS, TRANSACTIONS = 20, 12, 15

type Seen = tuple[int, int]


class RolledBack(Exception):
    """Thrown away on purpose."""


def write_transactions(seed: int) -> None:
    """Transactions of random length over a few shared rows, each row in ascending order; every sixth is rolled back."""
    dice = random.Random(seed)
    keys = sorted(Brand.objects.values_list("pk", flat=True))
    try:
        for number in range(TRANSACTIONS):
            try:
                with transaction.atomic():
                    for key in sorted(dice.sample(keys, dice.randint(1, 4))):
                        Brand.objects.filter(pk=key).update(name=f"{seed} {number}")
                        time.sleep(dice.random() * 0.02)  # a transaction that takes its time is what this is about
                    if dice.random() < 0.17:
                        raise RolledBack
            except RolledBack:
                pass
    finally:
        connection.close()


def follow(after: int, is_over: Event) -> list[Seen]:
    """What a follower sees, `(brand, version)` in its order, until it has read on after the last writer."""
    seen: list[Seen] = []
    try:
        while True:
            was_over = is_over.is_set()
            while rows := read_page(after):
                seen += [(entity_id, version) for _, entity_id, version in rows]
                after = rows[-1][0]
            if was_over:
                return seen
    finally:
        connection.close()


def read_page(after: int) -> list[tuple[int, int, int]]:
    number_changes()
    rows = Change.objects.filter(position__gt=after).order_by("position")
    return list(rows.values_list("position", "entity_id", "version")[:50])


@pytest.fixture
def start() -> int:
    for number in range(BRANDS):
        make_brand(f"Brand {number}")
    while number_changes():
        pass
    return Change.objects.values_list("position", flat=True)[0]


def test_followers_see_each_change_once_and_in_its_row_s_order(start: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    is_over = Event()
    with ThreadPoolExecutor(WRITERS + 3) as pool:
        followers: list[Future[list[Seen]]] = [pool.submit(follow, start, is_over) for _ in range(3)]
        for writer in [pool.submit(write_transactions, seed + number) for number in range(WRITERS)]:
            writer.result(timeout=120)
        is_over.set()
        seen = [follower.result(timeout=30) for follower in followers]
    # The trigger counts each row's committed changes without a gap: that is what there is to see.
    wanted = {pk: list(range(2, version + 1)) for pk, version in Brand.objects.values_list("pk", "version")}
    assert sum(map(len, wanted.values())) > WRITERS * TRANSACTIONS
    for each in seen:
        assert {pk: [version for brand, version in each if brand == pk] for pk in wanted} == wanted
    positions = list(Change.objects.filter(position__gt=start).order_by("position").values_list("position", flat=True))
    assert positions == list(range(start + 1, start + 1 + len(positions)))


def test_a_second_numberer_waits_until_the_first_one_s_positions_are_there(start: int) -> None:
    number = "SELECT catalog_number_changes(100)"
    with open_session() as one, open_session() as two, ThreadPoolExecutor(1) as pool:
        Brand.objects.update(name="First")
        one.execute(number)
        Brand.objects.update(name="Second")
        numbered = pool.submit(two.execute, number)
        wait_for_block(two.info.backend_pid, numbered)
        assert not numbered.done()
        one.commit()
        numbered.result(timeout=10)
        two.commit()
    rows = Change.objects.filter(position__gt=start).order_by("position").values_list("position", "version")
    assert list(rows) == [(start + place, 2 if place <= BRANDS else 3) for place in range(1, 2 * BRANDS + 1)]
