"""Sets the scheduled prices whose time has come, and takes those back whose time is over.

A worker's timer calls it (config/api/jobs/timers.py). Each batch is a transaction, which locks the products first. A
switch is an ordinary write of prices: the triggers log it, and the cache follows the log.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now

from catalog.models import ScheduledPrice, Variant
from catalog.prices.models import VariantPrice
from catalog.writes.levels import PricesWriter, lock_products
from config.api.database.authorship import ACTOR, sign_writes
from config.api.freshness.commits import acknowledge
from config.api.jobs.timers import LOOK_SECONDS
from config.api.writes.bodies import Row
from config.metrics import Gauges

State = ScheduledPrice.State

# A tenth of a second of writes.
BATCH_ROWS = 1_000
WRITTEN = ("state", "due_at", "price_before", "history_id")


def find_wait() -> float:
    """Seconds until the next switch is due, by the database's clock; none or less if one is overdue."""
    planned = ScheduledPrice.objects.filter(due_at__isnull=False).order_by("due_at", "pk").annotate(now=Now())
    for due_at, now in planned.values_list("due_at", "now")[:1]:
        wait: float = (due_at - now).total_seconds()  # type: ignore[operator]  # never null here
        return wait
    return LOOK_SECONDS


def switch_prices() -> None:
    """All that is due. Returns when every cache knows of it."""
    with acknowledge(), sign_writes():
        while switch_batch():
            pass


def switch_batch(size: int = BATCH_ROWS) -> int:
    """The number of scheduled prices that were due, at most `size` of them and those of the same variants."""
    due = list_due().order_by("due_at", "pk")
    with transaction.atomic():
        wanted = set(due.values_list("variant_id", flat=True)[:size])
        if not wanted:
            return 0
        lock_products(Variant.objects.filter(pk__in=wanted))
        # Another worker may have switched some meanwhile.
        rows = list(due.filter(variant_id__in=wanted).select_for_update(no_key=True).annotate(now=Now()))
        Switch.of(rows).save()
    return len(rows)


def list_due() -> QuerySet[ScheduledPrice]:
    return ScheduledPrice.objects.filter(due_at__lte=Now())


LATE = timedelta(seconds=10)
MOST_COUNTED = 10_000


def read_overdue() -> Gauges:
    return {("scheduled_prices_overdue",): float(list_overdue()[:MOST_COUNTED].count())}


def find_overdue() -> Iterator[tuple[str, str]]:
    """For doctor: a sentence and a remedy, if switches are late."""
    if first := list_overdue().order_by("due_at").first():
        number = list_overdue()[:MOST_COUNTED].count()
        detail = (
            f"{number} scheduled prices wait for their switch, the first one since {first.due_at:%Y-%m-%d %H:%M:%S}."
        )
        yield detail, "Run make worker: workers set prices, and one that runs late sets what is still in its time."


def list_overdue() -> QuerySet[ScheduledPrice]:
    return ScheduledPrice.objects.filter(due_at__lt=Now() - LATE)


def end_prices(rows: Collection[ScheduledPrice]) -> None:
    """The prices of before return, before the time of these is over. Their products are locked."""
    switch = Switch.of([])
    switch.read(rows)
    for row in rows:
        switch.end(row)
    switch.save()


def take_back_prices(rows: QuerySet[ScheduledPrice]) -> None:
    """As if these had never been: the prices of before return, also of those that set a price for good."""
    in_force = Q(state=State.ACTIVE) | Q(state=State.ENDED, ends_at=None)
    end_prices(list(rows.filter(in_force).order_by("-starts_at")))


@dataclass
class Switch:
    """What becomes of some scheduled prices and their variants."""

    rows: list[ScheduledPrice]
    # By the variants' ids: SKUs, present prices, the last rows of their histories; new prices and who set them.
    skus: dict[int, str] = field(default_factory=dict)
    prices: dict[int, Decimal] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    actors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[ScheduledPrice]) -> "Switch":
        switch = cls(list(rows))
        switch.read(rows)
        # Ends first: what begins at the same moment then finds the price of before.
        for row in sorted(rows, key=lambda row: row.state == State.WAITING):
            switch.end(row) if row.state == State.ACTIVE else switch.begin(row, row.now)  # type: ignore[attr-defined]  # annotated
        return switch

    def read(self, rows: Iterable[ScheduledPrice]) -> None:
        keys = {row.variant_id for row in rows}
        for key, sku, price in Variant.objects.filter(pk__in=keys).values_list("pk", "sku", "price"):
            self.skus[key], self.prices[key] = sku, price
        self.last = find_last(keys)

    def begin(self, row: ScheduledPrice, now: datetime) -> None:
        if row.ends_at is not None and row.ends_at <= now:
            row.state, row.due_at = State.MISSED, None
            return
        row.price_before = self.prices[row.variant_id]
        row.state, row.due_at = (State.ACTIVE, row.ends_at) if row.ends_at else (State.ENDED, None)
        self.set_price(row, row.price)

    def end(self, row: ScheduledPrice) -> None:
        """The price of before returns, unless the variant has got another one meanwhile."""
        row.state, row.due_at = State.ENDED, None
        if self.last.get(row.variant_id) == row.history_id and row.price_before is not None:
            self.set_price(row, row.price_before)

    def set_price(self, row: ScheduledPrice, price: Decimal) -> None:
        self.prices[row.variant_id], self.actors[row.variant_id] = price, row.author

    def save(self) -> None:
        before = ACTOR.get()
        for actor, keys in groupby(sorted(self.actors, key=self.actors.__getitem__), key=self.actors.__getitem__):
            ACTOR.set(actor)
            PricesWriter([Row("", {"sku": self.skus[key], "price": self.prices[key]}) for key in keys]).save()
        ACTOR.set(before)
        last = find_last(self.actors)
        for row in self.rows:
            row.history_id = last.get(row.variant_id)
        ScheduledPrice.objects.bulk_update(self.rows, WRITTEN, batch_size=100)


def find_last(keys: Iterable[int]) -> dict[int, int]:
    rows = VariantPrice.objects.filter(variant_id__in=list(keys)).order_by()
    return dict(rows.values_list("variant_id").annotate(Max("id")))
