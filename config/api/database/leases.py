"""Rows of work that one process at a time holds, by a lease of JOB_LEASE_SECONDS on the database's clock.

Each claim raises the row's fence, and its holder writes only if the fence is still its own. If a process was stopped
or cut off and another one claimed its row, its writes match no row: it gets LeaseLost and changes nothing.

A process that is told to stop gives its lease back between two pieces of work, so that another can claim it at once.
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

# Renewals per lease: two may fail before the lease ends.
RENEWALS = 3


class LeaseLost(Exception):
    """Another process holds the row, or it was canceled: the former holder stops, and writes nothing more."""


class LeaseReturned(LeaseLost):
    """The holder must stop: it gives the lease back, and another process goes on."""


class Stop:
    """Whether this process, or the one that it was forked from, was told to stop."""

    def __init__(self) -> None:
        # Shared with forks: RQ forks for each job, and the signal goes to the parent.
        self.shared = mmap(-1, 1)

    def begin(self, *signal_and_frame: object) -> None:
        self.shared[0] = 1

    @property
    def has_begun(self) -> bool:
        return self.shared[0] != 0

    def check(self) -> None:
        """Raise LeaseReturned once the process was told to stop. Call it between two pieces of work."""
        if self.has_begun:
            raise LeaseReturned("its worker stops")


STOP = Stop()


def find_lease_end() -> Any:
    """An expression for the end of a lease that begins now, by the database's clock, since machines' clocks differ."""
    return Now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


class ClaimedRowQuerySet(QuerySet[Any]):
    def only_free(self) -> Self:
        """Rows that nobody holds: they were never claimed or were released, or their lease has ended."""
        return self.filter(Q(leased_until__isnull=True) | Q(leased_until__lt=Now()))

    def claim(self) -> Any:
        """The first free row, which the caller holds from now on; None if no row is free."""
        while (row := self.only_free().order_by("pk").first()) is not None:
            # If the update matches no row, another process has claimed it since: try the next one.
            mine = self.only_free().filter(pk=row.pk, fence=row.fence)
            if mine.update(fence=F("fence") + 1, claims=F("claims") + 1, leased_until=find_lease_end()):
                row.fence, row.claims, row.is_held = row.fence + 1, row.claims + 1, True
                return row
        return None

    def revoke(self, **values: Any) -> int:
        """End all claims: a holder gets LeaseLost at its next write. Writes `values`; returns the number of rows."""
        return self.update(fence=F("fence") + 1, leased_until=None, **values)


class ClaimedRow(models.Model):
    """A row that one process at a time works on; `fence` is the number of its last claim.

    `claims` counts the claims that weren't given back. A worker that stops for a new release gives its claim back, so
    only workers that died with the row count.
    """

    fence = models.PositiveIntegerField(default=0, editable=False)
    # The database has the default, too: a worker of the former release may insert rows during a deploy.
    claims = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)

    # Whether `claim` returned this instance, and it hasn't been released.
    is_held = False

    class Meta:
        abstract = True

    def write(self, **values: Any) -> None:
        """Change the row as its holder and renew the lease; LeaseLost if the caller doesn't hold it any more."""
        # A released row has no lease to renew.
        end = Case(When(leased_until__isnull=False, then=find_lease_end()))
        self.write_as_holder(**{"leased_until": end} | values)

    def release(self, **values: Any) -> None:
        """Make the holder's last change; the row is free afterwards."""
        self.write_as_holder(leased_until=None, **values)
        self.is_held = False

    def give_back(self) -> None:
        """Free the row before its work is done, and don't count this claim. Does nothing on a released row."""
        if self.is_held:
            self.release(claims=F("claims") - 1)

    def write_as_holder(self, **values: Any) -> None:
        if not self.find_held(values).update(**values):
            raise LeaseLost(f"{self} is somebody else's")
        for name, value in values.items():
            if not hasattr(value, "resolve_expression"):
                setattr(self, name, value)

    def find_held(self, values: Mapping[str, Any]) -> QuerySet[Any]:
        """A queryset of the row. It is empty if the caller doesn't hold the row any more, or may not write `values`."""
        return type(self)._default_manager.filter(pk=self.pk, fence=self.fence)


@contextmanager
def keep_lease(row: ClaimedRow) -> Iterator[None]:
    """Renew the lease of `row` by a thread while the block runs, also while it waits.

    At the block's end, or if it must stop, the lease is given back unless the block has released the row.
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
