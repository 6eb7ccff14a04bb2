"""Periodic work, the chores: an app registers its own in `ready()`, and workers run them until they stop.

A chore without a period runs at each beat of each worker, so it must be safe beside itself. One with a period runs
once a period, in whichever worker comes first. A failure is logged, stops no other chore, and is tried again at the
next beat.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError

from config.api.models import ChoreRun


@dataclass(frozen=True)
class Chore:
    """`name` ends the sentence "The worker can't …" of the log."""

    name: str
    run: Callable[[], object]
    every: timedelta | None = None

    def run_if_due(self) -> None:
        if self.every is None:
            self.run()
        elif ChoreRun.objects.begin(self.name, self.every):
            self.run_or_withdraw()

    def run_or_withdraw(self) -> None:
        try:
            self.run()
        except Exception:
            # Where the database itself is away, the chore waits for its next period.
            with suppress(DatabaseError):
                ChoreRun.objects.withdraw(self.name)
            raise


CHORES: dict[str, Chore] = {}


def register_chore(name: str, run: Callable[[], object], every: timedelta | None = None) -> None:
    """`run` at each beat of each worker (every five seconds), or once in `every` by all workers together."""
    CHORES[name] = Chore(name, run, every)
