"""`/livez`: does this process answer; `/readyz`: should it get requests. Two views for probes, in JSON.

`{"status": "ok", "database": "ok", "migrations": "ok", "cache": "ok", "worker": "ok"}`; `degraded` (200) where
requests are still answered, only slower or with background work waiting; `unavailable` (503) where they aren't;
`stopping` (503) from SIGTERM on, while requests are answered for the last time.
"""

import queue
import threading
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

from config.api.models import STALE_SECONDS, Worker
from config.process.draining import DRAIN

# A probe's own patience is a few seconds (Kubernetes: one by default).
ANSWER_SECONDS = 2.0

OK = "ok"
# Without these no request is answered; the others only degrade.
VITAL = ("database", "migrations")

type Report = dict[str, str]


@require_safe
def show_alive(request: HttpRequest) -> JsonResponse:
    """200 while this process answers at all; touches nothing else."""
    return answer({"status": OK}, 200)


@require_safe
def show_ready(request: HttpRequest) -> JsonResponse:
    """At most four queries, in a thread of their own, and at most ANSWER_SECONDS."""
    if DRAIN.has_begun:
        goodbye = answer({"status": "stopping"}, 503)
        goodbye._has_been_logged = True  # type: ignore[attr-defined]  # Django's mark, or each probe were an ERROR
        return goodbye
    report = PROBE.ask() or {"database": f"no answer within {ANSWER_SECONDS:g} s"}
    faults = [name for name, state in report.items() if state != OK]
    unavailable = any(name in VITAL for name in faults)
    status = "unavailable" if unavailable else "degraded" if faults else OK
    return answer({"status": status, **report}, 503 if unavailable else 200)


def answer(body: Report, status: int) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


class Probe[Answer]:
    """Asks in a thread of its own: a database that hangs gives no answer and can't be called off.

    While one question hangs there is no second one, so that probes can't pile up threads and connections.
    """

    def __init__(self, look: Callable[[], Answer]) -> None:
        self.look, self.busy = look, threading.Lock()

    def ask(self) -> Answer | None:
        """None after ANSWER_SECONDS."""
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        # Waits for a neighbour's question first: two probes at once are no fault of the database.
        if self.busy.acquire(timeout=ANSWER_SECONDS):
            threading.Thread(target=self.answer, args=(answers,), daemon=True).start()
            try:
                return answers.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                pass
        return None

    def answer(self, answers: queue.SimpleQueue[Answer]) -> None:
        try:
            answers.put(self.look())
        finally:
            connections.close_all()
            self.busy.release()


def look_around() -> Report:
    """What each part says; where the database doesn't, its dependants aren't asked."""
    report = {"database": describe(check_database)}
    if report["database"] == OK:
        report["migrations"] = describe(check_migrations)
    report["cache"] = describe(check_cache)
    if report.get("migrations") == OK:
        report["worker"] = describe(check_worker)
    return report


PROBE = Probe(look_around)


def describe(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, ConnectionInterrupted, RedisError, OSError) as error:
        # The class alone: messages of drivers hold hosts and user names, and a probe may be public.
        return f"down ({type(error).__name__})"


def check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


@remember
def list_migrations() -> frozenset[tuple[str, str]]:
    """Every migration of the code at hand; files don't change under a running process."""
    return frozenset(MigrationLoader(None).disk_migrations or ())


def check_migrations() -> str:
    missing = list_migrations() - set(MigrationRecorder(connection).applied_migrations())
    return f"{len(missing)} not applied: run manage.py migrate" if missing else OK


def check_cache() -> str:
    """Written and read back: a full Redis answers reads."""
    cache.set("readyz", b"ok", timeout=10)
    return OK if cache.get("readyz") == b"ok" else "doesn't keep what it is given"


def check_worker() -> str:
    return OK if Worker.objects.only_alive().exists() else f"none heard of for {STALE_SECONDS} s: run make worker"
