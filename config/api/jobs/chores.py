"""Periodic tasks, called chores: an app registers them in `ready()`, and every worker runs them.

A chore without a period runs at each heartbeat of each worker, so several may run at once. A chore with a period runs
once a period, in the worker that comes first. If a chore fails, the failure is logged, the others run, and it is tried
again at the next heartbeat.
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
            # If the database is away, the chore waits for its next period.
            with suppress(DatabaseError):
                ChoreRun.objects.withdraw(self.name)
            raise


CHORES: dict[str, Chore] = {}


def register_chore(name: str, run: Callable[[], object], every: timedelta | None = None) -> None:
    """Run `run` at each heartbeat of each worker (every five seconds), or once per `every` in one of all workers."""
    CHORES[name] = Chore(name, run, every)
