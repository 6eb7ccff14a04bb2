"""The worker process: a heartbeat every five seconds, periodic tasks, and the workers for both task queues."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from django.db import DatabaseError, connection
from django.tasks import DEFAULT_TASK_BACKEND_ALIAS, DEFAULT_TASK_QUEUE_NAME
from django.utils import timezone
from django_tasks_db.management.commands.db_worker import Worker as TasksWorker
from rq import Worker as RQWorker

from config.api.database.leases import STOP
from config.api.jobs import timers
from config.api.jobs.chores import CHORES
from config.api.models import BEAT_SECONDS, Worker
from config.api.webhooks import courier
from config.logs import start_listener, stop_listener
from config.metrics import close_ledger, start_ledger
from config.telemetry.process import flush_telemetry, start_telemetry

logger = logging.getLogger("tenfold.worker")

# Seconds between two reads of the database's table of tasks by an idle worker.
POLL_SECONDS = 1.0
# What rq's reading of a job raises if it isn't as rq writes it.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, AssertionError)
# Held while the heartbeat uses the database. A fork at that moment would copy its connection: SQLite's locks would be
# held for ever, since the fork doesn't have the thread that frees them; and two processes would read PostgreSQL's
# socket.
IN_DATABASE = threading.Lock()


class Heartbeat(threading.Thread):
    """`with Heartbeat():` keeps this process's row in the table of workers while the block runs.

    With `parent`, the process ends if the parent process is gone: nobody would notice a worker without its server.
    """

    def __init__(self, parent: int | None = None) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.parent = parent
        self.host, self.pid = socket.gethostname(), os.getpid()
        self.done = threading.Event()
        # What failed at the last attempt, and why.
        self.failing: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # A signal may have come between db_worker's BEGIN and its `try`. Its lock would prevent signing off.
        connection.close()
        self.done.set()
        self.join()

    def run(self) -> None:
        self.write("clean up", self.forget_dead)
        while not self.done.is_set():
            self.write("beat", self.beat)
            self.run_chores()
            self.end_with_parent()
            self.done.wait(BEAT_SECONDS)
        self.write("sign off", self.sign_off)
        connection.close()

    def run_chores(self) -> None:
        for chore in CHORES.values():
            self.write(chore.name, chore.run_if_due)

    def write(self, what: str, change: Callable[[], object]) -> None:
        """Call `change`. An error must not end the heartbeat: the database may be back at the next one."""
        with IN_DATABASE:
            try:
                # One that the database has closed meanwhile is replaced; the others are kept from beat to beat.
                connection.close_if_unusable_or_obsolete()
                change()
            except Exception as error:
                # Any error, also of a storage: the worker must still be found alive.
                self.complain(what, error)
                connection.close()
            else:
                if self.failing.pop(what, None):
                    logger.info("The worker can %s again", what)

    def complain(self, what: str, error: Exception) -> None:
        """Log an error once, until it is gone or another one comes. Otherwise each heartbeat would log it."""
        if self.failing.get(what) != repr(error):
            is_known = isinstance(error, DatabaseError)  # its traceback says nothing new
            level = logging.WARNING if is_known else logging.ERROR
            logger.log(level, "The worker can't %s: %s", what, error, exc_info=not is_known)
        self.failing[what] = repr(error)

    def beat(self) -> None:
        Worker.objects.update_or_create(
            name=f"{self.host}:{self.pid}", defaults={"host": self.host, "pid": self.pid, "beat_at": timezone.now()}
        )

    def sign_off(self) -> None:
        Worker.objects.filter(name=f"{self.host}:{self.pid}").delete()

    def forget_dead(self) -> None:
        # A killed worker can't sign off. Its row is deleted after a day.
        Worker.objects.filter(beat_at__lt=timezone.now() - timedelta(days=1)).delete()

    def end_with_parent(self) -> None:
        if self.parent is not None and os.getppid() != self.parent:
            os.kill(self.pid, signal.SIGTERM)


class JobWorker(RQWorker):
    """RQ's worker. Each job runs in a fork that ends with os._exit, so log, metrics, traces start and end here."""

    def dequeue_job_and_maintain_ttl(self, *arguments: Any, **options: Any) -> Any:
        """RQ's method, but a job that can't be read is dropped: RQ's worker would end."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(*arguments, **options)
            except UNREADABLE as error:
                logger.warning("A job in Redis can't be read, so it is dropped: %r", error)
                self.forget_unreadable()

    def run_maintenance_tasks(self) -> None:
        """RQ's method, at the start and later: it reads all jobs that were taken, and one that it can't ends it."""
        self.forget_unreadable()
        super().run_maintenance_tasks()

    def forget_unreadable(self) -> None:
        """Delete jobs that were taken and can't be read."""
        client: Any = self.connection
        for queue in self.queues:
            taken = queue.intermediate_queue.key
            for key in client.lrange(taken, 0, -1):
                try:
                    queue.fetch_job(key.decode())
                except UNREADABLE:
                    client.lrem(taken, 0, key)
                    client.delete(queue.job_class.redis_job_namespace_prefix.encode() + key)

    def handle_warm_shutdown_request(self) -> None:
        STOP.begin()
        super().handle_warm_shutdown_request()

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()
        # systemd sends SIGTERM to all processes of a service; RQ's default handler would kill the job.
        signal.signal(signal.SIGTERM, STOP.begin)

    def fork_work_horse(self, *arguments: Any) -> None:
        with IN_DATABASE, courier.IN_DATABASE, timers.IN_DATABASE:
            super().fork_work_horse(*arguments)

    def main_work_horse(self, *arguments: Any, **options: Any) -> None:
        start_listener()
        start_ledger()
        start_telemetry()
        super().main_work_horse(*arguments, **options)

    def perform_job(self, *arguments: Any, **options: Any) -> bool:
        try:
            return super().perform_job(*arguments, **options)
        finally:
            flush_telemetry()
            stop_listener()
            close_ledger()


class TableWorker(TasksWorker):
    """django-tasks-db's worker, which also tells its running task to stop."""

    def shutdown(self, *signal_and_frame: Any) -> None:
        STOP.begin()
        super().shutdown(*signal_and_frame)


def build_table_worker() -> TableWorker:
    return TableWorker(
        queue_names=[DEFAULT_TASK_QUEUE_NAME],
        excluded_queue_names=[],
        backend_name=DEFAULT_TASK_BACKEND_ALIAS,
        worker_id=uuid4().hex,
        interval=POLL_SECONDS,
        startup_delay=False,
        batch=False,
        max_tasks=None,
    )
