"""`manage.py work`: runs background tasks until SIGTERM. They come from Redis (REDIS_URL), else from the database."""

import logging
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, connections

from config.api.database.leases import STOP
from config.api.jobs.timers import Timekeeper
from config.api.webhooks.courier import Courier
from config.process.limits import KEEPER, WORKER
from config.worker import Heartbeat, build_table_worker

logger = logging.getLogger("tenfold.worker")

RETRY_SECONDS = 1.0


class Command(BaseCommand):
    help = "Run background tasks until SIGTERM. Start as many as you like, on any machine that reaches the services."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--parent", type=int, help="stop when this process is no longer the parent")

    def handle(self, *args: Any, parent: int | None, **options: Any) -> None:
        KEEPER.begin(WORKER)
        # No pool: a worker has few threads, and RQ forks for each job, so the child would share the pool's sockets.
        connections["default"].settings_dict["OPTIONS"].pop("pool", None)
        with Heartbeat(parent), Courier(), Timekeeper():
            if settings.REDIS_URL:
                # An RQ worker needs this job class to run django-tasks-rq's tasks.
                call_command(
                    "rqworker",
                    job_class="django_tasks_rq.backend.Job",
                    worker_class="config.worker.JobWorker",
                    serializer=settings.RQ_SERIALIZER,
                )
            else:
                run_from_database()


def run_from_database() -> None:
    """Run tasks from the database. django-tasks-db's worker ends if the database restarts; this starts it again."""
    while not STOP.has_begun:
        worker = build_table_worker()
        worker.configure_signals()
        try:
            worker.run()
        except (OperationalError, InterfaceError) as error:
            logger.warning("The worker waits for the database: %s", error)
            connections.close_all()
            time.sleep(RETRY_SECONDS)
        else:
            return
