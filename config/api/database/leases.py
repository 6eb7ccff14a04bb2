"""A row of work in, one holder out: who claims it has it for JOB_LEASE_SECONDS by the database's clock, and renews.

Every claim raises the row's fence, and a holder writes only where the fence is still its own: a process that was
stopped, or cut off, while another took over matches no row, gets LeaseLost and leaves everything as it is.

A process that is told to stop gives its lease back between two pieces of work, so that another has it at once.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from mmap import mmap
from typing import Any, Self

from django.conf import settings
from django.db import DatabaseError, connections, models
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.functions import Now

logger = logging.getLogger("tenfold.jobs")

# Two renewals may fail before the lease is over.
RENEWALS = 3


class LeaseLost(Exception):
    """Somebody else holds the row by now, or it was canceled: whoever held it stops, and writes nothing more."""


class LeaseReturned(LeaseLost):
    """Its holder is to stop: it wrote aside what isn't whole, and the row is free for whoever goes on."""


class Stop:
    """Whether this process was told to stop, or the one that it was forked from, before or since."""

    def __init__(self) -> None:
        # Shared with forks: RQ has one for each job, and the signal comes to their parent.
        self.shared = mmap(-1, 1)

    def begin(self, *signal_and_frame: object) -> None:
        self.shared[0] = 1

    @property
    def has_begun(self) -> bool:
        return self.shared[0] != 0

    def check(self) -> None:
        """LeaseReturned once it has begun: for between two pieces of work, where nothing is half done."""
        if self.has_begun:
            raise LeaseReturned("its worker stops")


STOP = Stop()


def find_lease_end() -> Any:
    """An expression: when a lease that begins now is over. By the database's clock, since machines' differ."""
    return Now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


class ClaimedRowQuerySet(QuerySet[Any]):
    def only_free(self) -> Self:
        """Those that nobody holds, be it that nobody took them or that the holder stopped renewing."""
        return self.filter(Q(leased_until__isnull=True) | Q(leased_until__lt=Now()))

    def claim(self) -> Any:
        """The first of them that is free, held by the caller from now on; None where there is none."""
        while (row := self.only_free().order_by("pk").first()) is not None:
            # Another claimed it since, so the fence moved: the next one, then.
            mine = self.only_free().filter(pk=row.pk, fence=row.fence)
            if mine.update(fence=F("fence") + 1, claims=F("claims") + 1, leased_until=find_lease_end()):
                row.fence, row.claims, row.is_held = row.fence + 1, row.claims + 1, True
                return row
        return None

    def revoke(self, **values: Any) -> int:
        """Whoever holds one of them loses it, at its next write; how many rows there are, with `values` by now."""
        return self.update(fence=F("fence") + 1, leased_until=None, **values)


class ClaimedRow(models.Model):
    """A row that one process at a time works on; `fence` is the number of its last claim.

    `claims` counts those that weren't given back: a worker that stops for a new release wasn't lost over it.
    """

    fence = models.PositiveIntegerField(default=0, editable=False)
    # In the database too: a worker of the former release may add rows while this one comes.
    claims = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    # Of this instance: whether it is the one that a holder got, and hasn't released.
    is_held = False

    class Meta:
        abstract = True

    def write(self, **values: Any) -> None:
        """Change the row as its holder, which renews the lease; LeaseLost where it isn't the holder any more."""
        # Without a lease it was released: nothing is renewed then.
        end = Case(When(leased_until__isnull=False, then=find_lease_end()))
        self.write_as_holder(**{"leased_until": end} | values)

    def release(self, **values: Any) -> None:
        """The last change of the holder, after which the row is free."""
        self.write_as_holder(leased_until=None, **values)
        self.is_held = False

    def give_back(self) -> None:
        """Free for whoever goes on: this claim came to its end, though the work didn't. Nothing if it is released."""
        if self.is_held:
            self.release(claims=F("claims") - 1)

    def write_as_holder(self, **values: Any) -> None:
        if not self.find_held(values).update(**values):
            raise LeaseLost(f"{self} is somebody else's")
        for name, value in values.items():
            if not hasattr(value, "resolve_expression"):
                setattr(self, name, value)

    def find_held(self, values: Mapping[str, Any]) -> QuerySet[Any]:
        """The row where it is still its holder's, who may write `values` into it."""
        return type(self)._default_manager.filter(pk=self.pk, fence=self.fence)


@contextmanager
def keep_lease(row: ClaimedRow) -> Iterator[None]:
    """Renews the lease of `row` while the block runs, whatever it waits for.

    Gives it back where the block is to stop, or ends and left it held: there is more to do, for whoever is next.
    """
    done = threading.Event()
    renewer = threading.Thread(target=renew_until, args=(row, done), name="lease", daemon=True)
    renewer.start()
    try:
        yield
        row.give_back()
    except LeaseReturned:
        row.give_back()
        raise
    finally:
        done.set()
        renewer.join()


def renew_until(row: ClaimedRow, done: threading.Event) -> None:
    while not done.wait(settings.JOB_LEASE_SECONDS / RENEWALS):
        try:
            row.write()
        except LeaseLost:
            return  # the holder finds out at its own next write
        except DatabaseError as error:
            logger.warning("The lease of %s can't be renewed: %s", row, error)
        finally:
            connections.close_all()
