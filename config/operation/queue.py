"""The task queue in Redis: what waits, runs and has failed, and the workers. It is only read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import redis
from django.conf import settings
from rq import Queue, Worker
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.registry import BaseRegistry

# The most tasks of each state that are shown.
SHOWN = 20


class ShownTask(NamedTuple):
    """`path` is the function, `error` the last line of its traceback; "" if it hasn't failed."""

    path: str
    status: str
    enqueued: datetime | None
    ended: datetime | None
    error: str


class ShownWorker(NamedTuple):
    name: str
    state: str
    heartbeat: datetime | None


class QueueState(NamedTuple):
    counts: dict[str, int]
    workers: list[ShownWorker]
    tasks: list[ShownTask]


def read_queue() -> QueueState:
    """Raises redis.RedisError if Redis doesn't answer within two seconds."""
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        queue = Queue("default", connection=client, serializer=settings.RQ_SERIALIZER)
        registries = {
            "failed": queue.failed_job_registry,
            "running": queue.started_job_registry,
            "scheduled": queue.scheduled_job_registry,
        }
        counts = {"queued": queue.count} | {name: count(registry) for name, registry in registries.items()}
        found = {name: list_newest(registry) for name, registry in registries.items()}
        found["queued"] = queue.get_job_ids(0, SHOWN)
        tasks = [task for name, keys in found.items() for task in read_tasks(name, keys, client)]
        return QueueState(counts, list(read_workers(client)), tasks)


def count(registry: BaseRegistry) -> int:
    # Without cleaning up, which is the worker's work: it would write.
    return registry.get_job_count(cleanup=False)


def list_newest(registry: BaseRegistry) -> list[str]:
    return registry.get_job_ids(0, SHOWN - 1, desc=True, cleanup=False)


def read_tasks(status: str, keys: list[str], client: Any) -> Iterator[ShownTask]:
    for job in Job.fetch_many(keys, client, serializer=settings.RQ_SERIALIZER):
        if job:  # it may have ended meanwhile
            yield ShownTask(read_path(job), status, job.enqueued_at, job.ended_at, read_error(job))


def read_path(job: Job) -> str:
    try:
        return str(job.func_name)
    except DeserializationError:
        return "unreadable: not JSON"


def read_error(job: Job) -> str:
    result = job.latest_result()
    lines = (result.exc_string or "").strip().splitlines() if result else []
    return lines[-1] if lines else ""


def read_workers(client: Any) -> Iterator[ShownWorker]:
    for worker in Worker.all(client, serializer=settings.RQ_SERIALIZER):
        heartbeat = worker.last_heartbeat
        yield ShownWorker(worker.name, str(worker.get_state()), heartbeat and heartbeat.replace(tzinfo=UTC))
