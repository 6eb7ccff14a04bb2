"""`manage.py doctor`: each fault is found, with its remedy; only what is broken is an error."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from config.api.models import Worker
from config.operation import doctor
from config.operation.doctor import Finding, Level, examine
from tests.services import free_port

pytestmark = pytest.mark.django_db

on_postgres = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a fault of PostgreSQL's")


def run(**options: Any) -> tuple[int, str]:
    """Exit code and what is said."""
    said = StringIO()
    try:
        call_command("doctor", stdout=said, **options)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def find(part: str, level: Level) -> list[Finding]:
    """What is said of this part; the others aren't looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "EXAMINATIONS", {part: doctor.EXAMINATIONS[part]})
        return [finding for finding in examine() if (finding.part, finding.level) == (part, level)]


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture(autouse=True)
def safe_settings(settings: Any) -> None:
    settings.SECRET_KEY = "q4Zr-0pTgWkXv2sLmN8yBhC6dJ1fUeAoI9_R7tYxKzHwQbVnM3Da"


def test_a_sound_installation_has_no_error_and_each_part_is_named() -> None:
    Worker.objects.create(name="here:1", host="here", pid=1, beat_at=timezone.now())
    code, said = run(json=True)
    report = json.loads(said)
    assert code == 0
    assert {finding["part"] for finding in report["findings"]} == set(doctor.EXAMINATIONS)
    # The tests' own PostgreSQL runs without fsync, which is only a warning.
    assert report["status"] in ("ok", "warning")
    assert not find("worker", Level.WARNING)


def test_what_is_wrong_is_said_with_its_remedy() -> None:
    code, said = run()
    assert code == 0
    assert "WARNING  worker    No worker runs: exports, imports and purges wait.\n" in said
    assert f"{'':19}-> make worker\n" in said


@pytest.mark.slow
def test_a_missing_index_is_an_error_and_its_remedy_makes_it_again() -> None:
    execute("DROP INDEX product_by_price")
    [finding] = find("database", Level.ERROR)
    assert finding.detail == "product_by_price of catalog_product is missing."
    assert run()[0] == 1
    execute(finding.remedy.rstrip(";").replace("%%", "%"))
    assert not find("database", Level.ERROR)


def test_a_migration_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_migrations", lambda: "2 not applied: run manage.py migrate")
    [finding] = find("database", Level.ERROR)
    assert (finding.detail, finding.remedy) == ("Migrations: 2 not applied.", "manage.py migrate")


@on_postgres
def test_an_invalid_index_is_an_error() -> None:
    spoil = "UPDATE pg_index SET indisvalid = %s WHERE indexrelid = 'product_by_title_key'::regclass"
    name = connection.settings_dict["NAME"]
    with psycopg.connect(os.environ["SUPERUSER_URL"], dbname=name, autocommit=True) as root:
        root.execute(spoil, [False])
        try:
            [finding] = find("database", Level.ERROR)
        finally:
            root.execute(spoil, [True])
    assert finding.remedy == "REINDEX INDEX CONCURRENTLY product_by_title_key;"


@on_postgres
def test_a_disabled_trigger_is_an_error() -> None:
    assert not find("database", Level.ERROR)
    execute("ALTER TABLE catalog_change DISABLE TRIGGER keep_from_truncate")
    [finding] = find("database", Level.ERROR)
    assert finding.remedy == "ALTER TABLE catalog_change ENABLE TRIGGER keep_from_truncate;"


@on_postgres
def test_settings_that_risk_data_are_warnings() -> None:
    # As services.py starts it.
    details = {finding.detail.split(".")[0] for finding in find("database", Level.WARNING)}
    assert {"fsync is off", "full_page_writes is off"} <= details


@contextmanager
def answers(monkeypatch: pytest.MonkeyPatch, words: str, rows: list[Any]) -> Iterator[None]:
    """The statement with `words` in it is answered so."""
    ask = doctor.ask
    with monkeypatch.context() as patch:
        patch.setattr(doctor, "ask", lambda sql, values=None: rows if words in sql else ask(sql, values))
        yield


@on_postgres
def test_dead_rows_clocks_and_an_old_version_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(monkeypatch, "n_dead_tup", [("catalog_stock", 50_000, 60_000), ("catalog_brand", 900_000, 11_000)]):
        remedies = [finding.remedy for finding in find("database", Level.WARNING)]
    assert "VACUUM (ANALYZE) catalog_stock;" in remedies
    assert "VACUUM (ANALYZE) catalog_brand;" not in remedies
    with answers(monkeypatch, "clock_timestamp", [(datetime.now(UTC) + timedelta(hours=1),)]):
        told = re.search(r"by (\d+) s", find("clock", Level.WARNING)[0].detail)
    assert told
    assert 3500 < int(told[1]) <= 3600  # a busy machine reads its own clock seconds later
    monkeypatch.setattr(doctor, "LEAST_POSTGRES", 99)
    assert find("database", Level.ERROR)[0].remedy == "Upgrade to 99 or later."


@on_postgres
def test_what_postgres_lacks_is_found(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(monkeypatch, "pg_extension", []):
        remedies = [finding.remedy for finding in find("database", Level.ERROR)]
    assert remedies == ["CREATE EXTENSION btree_gin;", "CREATE EXTENSION pg_trgm;"]
    settings.WEB_WORKERS, settings.WEB_THREADS, settings.DATABASE_POOL = 8, 32, 0
    with answers(monkeypatch, "max_connections", [(100,)]):
        details = [finding.detail for finding in find("database", Level.WARNING)]
    assert "max_connections is 100, but this server alone may need 266." in details


@pytest.mark.slow
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a fault of SQLite's")
def test_a_damaged_file_and_another_journal_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(monkeypatch, "quick_check", [("row 7 missing from index product_by_price",)]):
        assert find("database", Level.ERROR)[0].remedy == "Restore it from a backup."
    with answers(monkeypatch, "journal_mode", [("delete",)]):
        assert find("database", Level.WARNING)[0].remedy == "PRAGMA journal_mode=WAL"


def test_a_full_disk_is_a_warning_and_a_very_full_one_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((500 * 2**20, Level.WARNING), (50 * 2**20, Level.ERROR)):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        assert find("disk", level)


def test_a_redis_that_is_away_is_a_warning(settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    [finding] = find("cache", Level.WARNING)
    assert finding.detail == "Redis doesn't answer; requests are answered without it."


def test_a_redis_that_is_slow_is_a_warning(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not settings.REDIS_URL:
        pytest.skip("the embedded cache has no Redis")
    monkeypatch.setattr(doctor, "time_call", lambda call: 0.05)
    assert find("cache", Level.WARNING)[0].detail == "Redis takes 50.0 ms."


def test_a_redis_that_may_drop_tasks_is_an_error(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not settings.REDIS_URL:
        pytest.skip("the embedded cache has no Redis")
    monkeypatch.setattr(doctor, "read_eviction_policy", lambda: "allkeys-lru")
    [finding] = find("cache", Level.ERROR)
    assert finding.remedy == "CONFIG SET maxmemory-policy noeviction"


@pytest.mark.parametrize(("name", "value"), [("maxmemory", "1"), ("min-replicas-to-write", "1")])
def test_a_redis_that_keeps_nothing_is_an_error(settings: Any, name: str, value: str) -> None:
    if not settings.REDIS_URL:
        pytest.skip("the embedded cache has no Redis")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.config_set(name, value)
        try:
            [finding] = find("cache", Level.ERROR)
        finally:
            client.config_set(name, "0")
    assert finding.detail.startswith("Redis answers, but keeps nothing (")


def test_a_database_that_is_away_is_an_error_and_the_rest_is_still_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection to server at 10.0.0.1, user shop, failed")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    code, said = run()
    assert code == 1
    assert "ERROR    database  It doesn't answer." in said
    assert "10.0.0.1" not in said
    assert "disk" in said


@pytest.mark.slow
def test_a_danger_is_an_error_only_where_others_reach_the_server(settings: Any) -> None:
    settings.SECRET_KEY = "abc"
    assert find("settings", Level.WARNING)
    assert run()[0] == 0
    settings.HOST = "0.0.0.0"
    assert find("settings", Level.ERROR)
    assert run()[0] == 1


def test_a_redis_that_others_may_write_to_is_a_warning(settings: Any) -> None:
    settings.REDIS_URL = "redis://10.0.0.7:6379/0"
    [found] = find("settings", Level.WARNING)
    assert found.detail == "REDIS_URL names a Redis on another machine without a password."


@pytest.mark.parametrize("name", ["TRUSTED_PROXIES", "HTTPS"])
def test_what_only_a_trusted_proxy_can_prevent_is_told(name: str, settings: Any) -> None:
    assert not [found for found in find("settings", Level.OK) if "underscore" in found.remedy]
    setattr(settings, name, 1)
    [found] = [found for found in find("settings", Level.OK) if "underscore" in found.remedy]
    assert "X_Forwarded_For" in found.detail
    settings.PROXY_HEADER = "Forwarded"
    assert not [found for found in find("settings", Level.OK) if "underscore" in found.remedy]


def test_a_public_server_that_prints_its_mails_is_a_warning(settings: Any) -> None:
    settings.PUBLIC_HOSTS, settings.METRICS_TOKEN = ["shop.example.com"], "of tests"
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
    assert [finding.detail.split()[0] for finding in find("settings", Level.WARNING)] == ["PUBLIC_URL", "EMAIL_URL"]


def test_plain_http_is_a_warning_where_others_reach_the_server(settings: Any) -> None:
    assert not find("settings", Level.WARNING)
    settings.HOST = "0.0.0.0"
    assert find("settings", Level.WARNING)[0].detail == "HTTPS is off, but others can reach this server."


@on_postgres
def test_a_pooler_between_prepared_reads_and_the_database_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with answers(monkeypatch, "pg_backend_pid", [(0,)]):
        details = [finding for finding in find("database", Level.WARNING) if "pooler" in finding.detail]
    assert "DATABASE_PREPARE=false" in details[0].remedy
    assert not [finding for finding in find("database", Level.WARNING) if "pooler" in finding.detail]
