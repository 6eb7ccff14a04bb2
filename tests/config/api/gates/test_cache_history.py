"""Writers and readers over several processes while Redis and workers fail: no read is older than a known write.

The short form is a thousand reads; `make test-faults` makes 100,000, from a seed that it prints.
"""

import os
import signal
import time
from collections.abc import Callable
from random import Random, SystemRandom

import pytest
from django.db import connection

from accounts.models import AuthToken
from tests.factories import make_product, make_user
from tests.figures import note_figures
from tests.fleets import Fleet, launch_fleet
from tests.histories import History, Seen
from tests.proxies import Fault

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="without Redis there is one web process"),
]

READS = int(os.environ.get("READS", "1000"))
SEED = int(os.environ.get("SEED", SystemRandom().randrange(10**6)))
READERS, WRITERS, PRODUCTS = 4, 2, 2
# Some hundred writes are enough, and each makes the reads that follow slower.
PAUSE_SECONDS = min(READS / 2_500, 2.0)

type Trouble = Callable[[Fleet, Random], None]


def cut(*which: int, fault: Fault = Fault.REFUSED) -> Trouble:
    def make(fleet: Fleet, choice: Random) -> None:
        for index in which:
            fleet.servers[index].line.fault = fault
        time.sleep(choice.uniform(0.1, 0.5))
        for index in which:
            fleet.servers[index].line.fault = Fault.NONE

    return make


def hang(fleet: Fleet, choice: Random) -> None:
    fleet.redis.process.send_signal(signal.SIGSTOP)
    time.sleep(choice.uniform(0.1, 0.5))
    fleet.redis.process.send_signal(signal.SIGCONT)


def flush(fleet: Fleet, choice: Random) -> None:
    fleet.redis.ask("FLUSHALL")


def restart_empty(fleet: Fleet, choice: Random) -> None:
    fleet.redis.stop()
    time.sleep(choice.uniform(0.0, 0.3))
    fleet.redis.start()


def kill_worker(fleet: Fleet, choice: Random) -> None:
    choice.choice(fleet.servers).kill_worker(choice)


TROUBLES: dict[str, Trouble] = {
    "cut for one": cut(0),
    "cut for all": cut(0, 1),
    "hung for one": cut(1, fault=Fault.HUNG),
    "slow for one": cut(0, fault=Fault.SLOW),
    "hung": hang,
    "flushed": flush,
    "restarted empty": restart_empty,
    "worker killed": kill_worker,
}


def test_no_read_is_older_than_an_acknowledged_write() -> None:
    print(f"SEED={SEED}")
    choice = Random(SEED)
    products = [make_product(title="100", price="100.00") for _ in range(PRODUCTS)]
    staff, editor, nobody = (AuthToken.objects.create(user)[1] for user in list_people())
    with launch_fleet(WEB_WORKERS="2") as fleet:
        pairs = [(product.pk, product.sku) for product in products]
        history = History(SEED, fleet.servers, pairs, staff, [editor, nobody])
        with history.running(READERS, WRITERS, PAUSE_SECONDS) as seen:
            make_trouble(fleet, choice, lambda: is_enough(seen))
    note_figures(
        "Redis cut, hung, slow, flushed, restarted", reads=seen.reads, writes=seen.writes,
        failed=len(seen.failed), stale=len(seen.old),
    )  # fmt: skip
    assert not seen.failed, seen.failed[:5]
    assert not seen.old, seen.old[:5]
    assert seen.states["hit"] > seen.reads / 10, "a cache that answers nothing is never wrong"


def is_enough(seen: Seen) -> bool:
    return bool(seen.failed) or (seen.reads >= READS and seen.writes > READS / 500)


def make_trouble(fleet: Fleet, choice: Random, is_over: Callable[[], bool]) -> None:
    """Each kind once at least, in an order of its own each time."""
    while True:
        for name in choice.sample(sorted(TROUBLES), len(TROUBLES)):
            TROUBLES[name](fleet, choice)
            time.sleep(choice.uniform(0.1, 0.6))
        if is_over():
            return


def list_people() -> list[object]:
    return [make_user(is_superuser=True), make_user("Catalogue editor"), make_user()]
