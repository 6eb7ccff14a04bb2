"""The admin's page of tasks: those of the database, or with Redis the queue there."""

from collections.abc import Iterator
from typing import Any

import django_rq
import pytest
from django.conf import settings as configured
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django_tasks_db.models import DBTaskResult
from rq import Queue, SimpleWorker

from config.operation.queue import SHOWN, QueueState, read_queue
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/django_tasks_database/dbtaskresult/"
with_redis = pytest.mark.skipif(not configured.REDIS_URL, reason="without Redis tasks wait in the database")


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = django_rq.get_queue("default")
    yield queue
    queue.connection.flushdb()


def fail(queue: Queue) -> None:
    """One task that has failed: `int("x")`."""
    queue.enqueue("builtins.int", "x")
    SimpleWorker([queue], connection=queue.connection, serializer=configured.RQ_SERIALIZER).work(burst=True)


@with_redis
def test_what_waits_and_what_has_failed_is_seen(queue: Queue, admin_client: Client) -> None:
    fail(queue)
    queue.enqueue("builtins.repr", 1)
    page = admin_client.get(PAGE).content.decode()
    assert "builtins.int" in page
    assert "ValueError: invalid literal for int()" in page
    assert "No worker runs" in page
    found = read_queue()
    assert found.counts == {"queued": 1, "failed": 1, "running": 0, "scheduled": 0}
    assert [(task.path, task.status) for task in found.tasks] == [
        ("builtins.int", "failed"), ("builtins.repr", "queued"),
    ]  # fmt: skip


@with_redis
def test_a_long_queue_costs_what_a_short_one_costs(queue: Queue) -> None:
    for number in range(SHOWN + 5):
        queue.enqueue("builtins.repr", number)
    found = read_queue()
    assert (found.counts["queued"], len(found.tasks)) == (SHOWN + 5, SHOWN)


@with_redis
def test_a_pickled_task_is_shown_without_being_read(queue: Queue) -> None:
    Queue("default", connection=queue.connection).enqueue("builtins.repr", 1)  # rq's own queue pickles
    assert [task.path for task in read_queue().tasks] == ["unreadable: not JSON"]


def test_without_redis_the_page_says_so(settings: Any, admin_client: Client) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = admin_client.get(PAGE)
    assert answer.status_code == 200
    assert "so the tasks in it can" in answer.content.decode()


def test_staff_without_the_permission_see_no_task(
    settings: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("config.admin.read_queue", lambda: QueueState({"queued": 0}, [], []))
    clerk = make_user(is_staff=True)
    client.force_login(clerk)
    assert client.get(PAGE).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_dbtaskresult"))
    assert client.get(PAGE).status_code == 200


def test_the_packages_own_pages_are_not_there(admin_client: Client) -> None:
    assert admin_client.get("/admin/django_rq/dashboard/").status_code == 404
    assert admin.site.is_registered(DBTaskResult)
