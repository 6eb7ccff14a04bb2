"""Fixtures that every test may ask for."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import TransactionTestCase
from redis import Redis
from rest_framework.test import APIClient

from accounts.models import User
from accounts.usage import USES
from catalog.home import HomeFigures
from config.api.database.authorship import ACTOR
from config.api.freshness.leases import FRESHNESS
from config.api.gates.cache_gate import CACHE
from config.api.jobs import running
from config.api.reads.plans import PLANS
from config.logs import RequestLine
from exports.streaming.slots import SLOTS
from tests.launching import run_command
from tests.template import read_template

# Without the 100 ms of the product's own connection, which a busy machine doesn't always keep.
REDIS = Redis.from_url(settings.REDIS_URL) if settings.REDIS_URL else None

FOLDERS = count(1)

# Of this process alone, where nobody else reads; what it writes between tests would wait too.
settings.CACHE_LEASE_MS = 0
# Django's own takes 1.5 million rounds, a third of a second a user.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Each client has a handler of its own, and whitenoise would list 200 files for each: 70 ms, 1,700 times.
settings.WHITENOISE_AUTOREFRESH = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What reaches neither SQL nor Redis is the same in both halves, and runs on SQLite only."""
    if os.environ.get("TEST_BACKEND") == "production":
        once = [item for item in items if not belongs_to_both(item)]
        config.hook.pytest_deselected(items=once)
        items[:] = [item for item in items if belongs_to_both(item)]


def belongs_to_both(item: pytest.Item) -> bool:
    """It asks for the database, is skipped without a service, or says so; `once` has the last word."""
    marks, fixtures = {mark.name for mark in item.iter_markers()}, getattr(item, "fixturenames", ())
    is_unittest = issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
    asks = bool(marks & {"django_db", "skipif", "both", "faults"}) or "django_db_setup" in fixtures or is_unittest
    return asks and "once" not in marks


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in production: in memory, neither threads nor processes share it."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database["TEST"] = database.get("TEST", {}) | {"NAME": str(tmp_path_factory.mktemp("db") / "test.sqlite3")}
        connections["default"].settings_dict["TEST"]["NAME"] = database["TEST"]["NAME"]


# The slots of an application that tests call keep their connections, as in a server; nobody drops a database in use.
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tests that commit give back the database as the migrations left it."""
    with django_db_blocker.unblock():
        template = read_template("migrated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: template.restore())
        yield
    with django_db_blocker.unblock():
        template.close()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(END_OTHERS)
        connection.close()


@pytest.fixture(scope="module")
def kept(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """One transaction around the tests of a module: what its module-wide fixtures write, each of them finds.

    It isn't for tests that commit (`transaction=True`): they take the database for empty.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def exports_see_what_a_test_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their own connection doesn't, while the test's transaction is open."""
    monkeypatch.setattr("exports.rows.chunks.DATABASE", "default")


@contextmanager
def ask_uncounted() -> Iterator[None]:
    """How far the log has come isn't part of what a read costs: a lease, which is none here, is for many."""
    counted, connection.force_debug_cursor = connection.force_debug_cursor, False
    try:
        yield
    finally:
        connection.force_debug_cursor = counted


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """A test that is rolled back leaves the log as it was, with the same positions for the next test's changes; and
    what it writes it never commits, so that no lease is ended, and no other connection sees it.
    """
    FRESHNESS.lend = ask_uncounted
    if REDIS:
        REDIS.flushdb()
    CACHE.clear()
    HomeFigures.stamp = None
    FRESHNESS.end()


@pytest.fixture(autouse=True)
def nobody_writes() -> None:
    """A view that a test calls without its middleware leaves its caller's name behind."""
    ACTOR.set("")


@pytest.fixture(autouse=True)
def uses_wait() -> Iterator[None]:
    """Tokens' last uses; the thread that writes them has a connection of its own, which sees no test's transaction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(USES, "start", lambda: None)
        USES.noted.clear()
        yield
    USES.waiting = SimpleQueue()


@pytest.fixture(autouse=True)
def no_plans() -> None:
    """Made under the settings of another test."""
    PLANS.clear()


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the jobs' files, made by who writes the first; tasks wait until a test runs them."""
    folder = tmp_path_factory.getbasetemp() / f"exports_files_{next(FOLDERS)}"
    local = {"BACKEND": "config.api.jobs.files.LocalFolder", "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = settings.STORAGES | {"jobs": local}
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    return folder


@pytest.fixture
def one_step_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test looks at what there is between two steps of a job."""
    monkeypatch.setattr(running, "TURN_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def streams_are_given_back() -> Iterator[None]:
    """One that stays open would be a later test's 429. What a failed test holds is that test's alone."""
    before = SLOTS.taken
    yield
    if SLOTS.taken > before:
        gc.collect()  # an answer that nobody reads, and nobody holds, is closed by now
    assert SLOTS.taken <= before, f"{SLOTS.taken} streams are still being sent"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied for processes."""
    file = tmp_path_factory.mktemp("database") / "shop.sqlite3"
    done = run_command("manage.py", "migrate", "-v0", DATABASE_URL=f"sqlite:///{file}")
    assert done.returncode == 0, done.stderr
    return file


@pytest.fixture
def request_lines(monkeypatch: pytest.MonkeyPatch) -> list[RequestLine]:
    """The log lines of requests, as they come."""
    lines: list[RequestLine] = []
    monkeypatch.setattr("config.api.gates.records.log_request", lambda line: lines.append(RequestLine._make(line)))
    monkeypatch.setattr("config.api.gates.records.logger.isEnabledFor", lambda level: True)
    return lines


@pytest.fixture
def client() -> APIClient:
    """An anonymous caller."""
    return APIClient()


@pytest.fixture
def admin_user(db: None) -> User:
    return User.objects.create_superuser("root@example.com", "root")


@pytest.fixture
def staff(admin_user: User) -> APIClient:
    """A caller who may do everything."""
    client = APIClient()
    client.force_authenticate(admin_user)
    return client
