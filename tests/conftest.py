"""Fixtures for all tests."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from shutil import copy
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.test import TransactionTestCase
from redis import Redis
from rest_framework.test import APIClient

from accounts.models import User
from accounts.usage import USES
from catalog.changes.pushing import HUB
from catalog.home import PAGES
from config.api.database.authorship import ACTOR
from config.api.freshness.leases import FRESHNESS
from config.api.gates.cache_gate import CACHE
from config.api.jobs import running
from config.api.push.hub import Hub
from config.api.push.streams import Stream
from config.api.reads.plans import PLANS
from config.logs import RequestLine
from config.operation import health
from exports.streaming.slots import SLOTS
from tests.launching import run_command
from tests.template import read_template

# A connection without the product's time-out of 100 ms, which is too short on a busy machine.
REDIS = Redis.from_url(settings.REDIS_URL) if settings.REDIS_URL else None

FOLDERS = count(1)

# Only this process reads, so writes needn't wait for other processes' leases.
settings.CACHE_LEASE_MS = 0
# Without it feeds are an error.
settings.PRODUCT_URL_TEMPLATE = "https://shop.example/p/{slug}"
settings.SELLER_NAME, settings.SELLER_COUNTRIES = "Example Shop", ["US"]
# Each probe of a test sees what the test has changed.
health.REUSE_SECONDS = 0.0
# Django's default hasher takes 1.5 million rounds, a third of a second for each user.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Each client has its own handler, and whitenoise would list 200 files for each: 70 ms, 1,700 times.
settings.WHITENOISE_AUTOREFRESH = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that uses neither SQL nor Redis runs in one half only, on SQLite.

    Files with slow tests come first, so that no worker begins one when the others end.
    """
    refuse_shared_ids(items)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (-slow[item.path], item.path if slow[item.path] else Path()))
    if os.environ.get("TEST_BACKEND") == "production":
        once = [item for item in items if not belongs_to_both(item)]
        config.hook.pytest_deselected(items=once)
        items[:] = [item for item in items if belongs_to_both(item)]


def refuse_shared_ids(items: list[pytest.Item]) -> None:
    """Tests with one id look like one to pytest-xdist, which leaves the others out and says nothing."""
    shared = [name for name, number in Counter(item.nodeid for item in items).items() if number > 1]
    if shared:
        raise pytest.UsageError(f"{shared[0]} is the id of several tests, of which one would run: give each its own")


# Looking through thousands of collected tests for garbage, over and over, took a sixth of a worker's time.
gc.set_threshold(50_000, 20, 100)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Packed bytes hold the time at which they were packed, and the processes of a run must agree on names."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def belongs_to_both(item: pytest.Item) -> bool:
    """Whether a test runs in both halves: it uses the database, needs a service, or has the mark `both`.

    The mark `once` overrides all of these.
    """
    marks, fixtures = {mark.name for mark in item.iter_markers()}, getattr(item, "fixturenames", ())
    is_unittest = issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
    asks = bool(marks & {"django_db", "skipif", "both", "faults"}) or "django_db_setup" in fixtures or is_unittest
    return asks and "once" not in marks


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied. The processes of a run share it: a migration takes 5 s of CPU."""
    folder = tmp_path_factory.getbasetemp()
    file = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "migrated.sqlite3"
    with file.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not file.exists():
            migrate_file(file)
    return file


def migrate_file(file: Path) -> None:
    unfinished = file.with_suffix(".unfinished")
    done = run_command("manage.py", "migrate", "-v0", DATABASE_URL=f"sqlite:///{unfinished}")
    assert done.returncode == 0, done.stderr
    unfinished.rename(file)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The SQLite file below is there already; a server of tests has no database yet."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in production: threads and processes can't share a database in memory."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        file = tmp_path_factory.mktemp("db") / "test.sqlite3"
        copy(request.getfixturevalue("migrated"), file)
        database["TEST"] = database.get("TEST", {}) | {"NAME": str(file)}
        connections["default"].settings_dict["TEST"]["NAME"] = database["TEST"]["NAME"]


# The slots of an application that tests call keep their connections. A database in use can't be dropped.
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """After a test that commits, the database is restored to its state after the migrations."""
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
    """One transaction around all tests of a module, so that module-wide fixtures write their rows only once.

    Not for tests that commit (`transaction=True`): they expect an empty database.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def exports_see_what_a_test_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports use the test's own connection. Another one wouldn't see the rows of the test's open transaction."""
    monkeypatch.setattr("exports.rows.chunks.DATABASE", "default")


@contextmanager
def ask_uncounted() -> Iterator[None]:
    """Don't count the read of the change log in a test's queries: with a real lease, many requests share one read."""
    counted, connection.force_debug_cursor = connection.force_debug_cursor, False
    try:
        yield
    finally:
        connection.force_debug_cursor = counted


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Empty the cache before each test.

    After a rollback the next test's changes have the same positions in the log, so old answers would look fresh. And
    without a commit no lease ends.
    """
    FRESHNESS.lend = ask_uncounted
    if REDIS:
        REDIS.flushdb()
    CACHE.clear()
    PAGES.clear()
    FRESHNESS.end()
    FRESHNESS.behind_until = 0.0  # a test may have said that the log has a backlog


@pytest.fixture(autouse=True)
def nobody_writes() -> None:
    """Forget the author of writes: a view that a test calls without the middleware doesn't reset it."""
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
    """Forget plans: they may have been made under another test's settings."""
    PLANS.clear()


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the jobs' files; the first write creates it. Tasks wait until a test runs them."""
    folder = tmp_path_factory.getbasetemp() / f"exports_files_{next(FOLDERS)}"
    local = {"BACKEND": "config.api.jobs.files.LocalFolder", "OPTIONS": {"location": str(folder)}}
    pictures = {"BACKEND": local["BACKEND"], "OPTIONS": {"location": f"{folder}_media"}}
    settings.STORAGES = settings.STORAGES | {"jobs": local, "media": pictures}
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    return folder


@pytest.fixture
def one_step_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task takes only one step of a job, so that a test can look between two steps."""
    monkeypatch.setattr(running, "TURN_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def streams_are_given_back() -> Iterator[None]:
    """Check that the test has closed its streams: an open one could be a later test's 429."""
    before = SLOTS.taken
    yield
    if SLOTS.taken > before:
        gc.collect()  # closes answers that nobody refers to
    assert SLOTS.taken <= before, f"{SLOTS.taken} streams are still being sent"


JOIN = Hub.join


@pytest.fixture(autouse=True)
def streams_of_events_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """At once, since many tests read every answer whole, or don't read it. Tests of streams put JOIN back."""

    def end(hub: Hub, stream: Stream) -> None:
        stream.open()
        stream.channel.end()
        hub.release()

    monkeypatch.setattr(Hub, "join", end)
    yield
    HUB.count = 0


@pytest.fixture
def request_lines(monkeypatch: pytest.MonkeyPatch) -> list[RequestLine]:
    """The log lines of requests, in a list that grows during the test."""
    lines: list[RequestLine] = []
    monkeypatch.setattr("config.api.gates.records.log_request", lambda line: lines.append(RequestLine._make(line)))
    monkeypatch.setattr("config.api.gates.records.logger.isEnabledFor", lambda level: True)
    return lines


@pytest.fixture
def client() -> APIClient:
    """An anonymous client."""
    return APIClient()


@pytest.fixture
def admin_user(db: None) -> User:
    return User.objects.create_superuser("root@example.com", "root")


@pytest.fixture
def staff(admin_user: User) -> APIClient:
    """A client with all permissions."""
    client = APIClient()
    client.force_authenticate(admin_user)
    return client
