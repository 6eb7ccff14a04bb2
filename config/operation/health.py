"""Two views for probes, in JSON. `/livez`: does this process answer? `/readyz`: should it get requests?

`{"status": "ok", "database": "ok", "migrations": "ok", "cache": "ok", "worker": "ok"}`. The other statuses:
`degraded` (200): requests are answered, but slower, or background work waits, or the last writes of this process failed
(then there is also `writes`).
`unavailable` (503): requests can't be answered.
`stopping` (503): after SIGTERM; the last requests are still answered.
"""

import queue
import threading
import time
from collections.abc import Callable
from functools import cache as remember

from django.core.cache import cache
from django.db import DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from config.api.database.recent_writes import RECENT_WRITES
from config.api.models import STALE_SECONDS, Worker
from config.process.draining import DRAIN

# Probes have time-outs of a few seconds themselves (Kubernetes: one second by default).
ANSWER_SECONDS = 2.0
# Each look makes a connection to the database; a flood of probes shares four looks a second.
REUSE_SECONDS = 0.25

OK = "ok"
# Without these parts no request can be answered. Without the others the server is only degraded.
VITAL = ("database", "migrations")

type Report = dict[str, str]


@require_safe
def show_alive(request: HttpRequest) -> JsonResponse:
    """200 while this process can answer. It uses no other part."""
    return answer({"status": OK}, 200)


@require_safe
def show_ready(request: HttpRequest) -> JsonResponse:
    """Runs at most four queries, in their own thread, for at most ANSWER_SECONDS."""
    if DRAIN.has_begun:
        goodbye = answer({"status": "stopping"}, 503)
        goodbye._has_been_logged = True  # type: ignore[attr-defined]  # Django's mark; else it logs an ERROR
        return goodbye
    report = PROBE.ask() or {"database": f"no answer within {ANSWER_SECONDS:g} s"}
    faults = [name for name, state in report.items() if state != OK]
    unavailable = any(name in VITAL for name in faults)
    status = "unavailable" if unavailable else "degraded" if faults else OK
    return answer({"status": status, **report}, 503 if unavailable else 200)


def answer(body: Report, status: int) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


class Probe[Result]:
    """Calls `look` in its own thread, since a call to a hanging database can't be stopped.

    While one call hangs no second one is made, so that probes can't fill the process with threads and connections.
    """

    def __init__(self, look: Callable[[], Result]) -> None:
        self.look, self.busy = look, threading.Lock()
        # The last result, and when it was there, in seconds of the monotonic clock.
        self.last: tuple[Result, float] | None = None

    def ask(self) -> Result | None:
        """The result of `look`, at most REUSE_SECONDS old, or None after ANSWER_SECONDS."""
        if self.last and time.monotonic() - self.last[1] < REUSE_SECONDS:
            return self.last[0]
        results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        # If another probe is asking, wait for it: that isn't a fault of the database.
        if self.busy.acquire(timeout=ANSWER_SECONDS):
            threading.Thread(target=self.run, args=(results,), daemon=True).start()
            try:
                return results.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                pass
        return None

    def run(self, results: queue.SimpleQueue[Result]) -> None:
        try:
            found = self.look()
            self.last = found, time.monotonic()
            results.put(found)
        finally:
            connections.close_all()
            self.busy.release()


def look_around() -> Report:
    """The state of each part. Parts that need the database are only asked if it answers."""
    report = {"database": describe(check_database)}
    if report["database"] == OK:
        report["migrations"] = describe(check_migrations)
    if failed := RECENT_WRITES.describe():
        report["writes"] = failed
    report["cache"] = describe(check_cache)
    if report.get("migrations") == OK:
        report["worker"] = describe(check_worker)
    return report


PROBE = Probe(look_around)


def describe(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, ConnectionInterrupted, RedisError, OSError) as error:
        # Only the class: drivers' messages have host and user names, and probes may be public.
        return f"down ({type(error).__name__})"


def check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


@remember
def list_migrations() -> frozenset[tuple[str, str]]:
    """All migrations in the code. The files don't change while the process runs."""
    return frozenset(MigrationLoader(None).disk_migrations or ())


def check_migrations() -> str:
    missing = list_migrations() - set(MigrationRecorder(connection).applied_migrations())
    return f"{len(missing)} not applied: run manage.py migrate" if missing else OK


def check_cache() -> str:
    """Write and read back: a full Redis still answers reads."""
    cache.set("readyz", b"ok", timeout=10)
    return OK if cache.get("readyz") == b"ok" else "doesn't store what is written"


def check_worker() -> str:
    return OK if Worker.objects.only_alive().exists() else f"no heartbeat for {STALE_SECONDS} s: run make worker"
