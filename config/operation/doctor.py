"""This installation in, findings out: the state of each part and, if something is wrong, the remedy.

Each examination yields findings of its own part only. If the part doesn't answer, that is a finding too.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import redis
from django.apps import apps
from django.conf import settings
from django.core.checks import Tags, run_checks
from django.db import DatabaseError, connection

from config.api.problems.stored import TRIALS, find_amiss
from config.operation.checks import read_eviction_policy
from config.operation.dangers import find_open_redis, has_proxy, is_exposed, list_dangers, list_local_defaults
from config.operation.health import OK, check_migrations, check_worker

LEAST_POSTGRES = 15
# A lookup in the same network takes less. A slower cache saves nothing compared with a page from the database.
SLOW_CACHE_MS = 5.0
# The most seconds between this machine's clock and the database's: leases and tokens are compared with the latter.
CLOCK_SECONDS = 2.0
LEAST_DISK_BYTES = 2**30
# Vacuum is late for a table if a fifth of its rows are dead, and these are at least DEAD_ROWS.
DEAD_SHARE, DEAD_ROWS = 0.2, 10_000


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """The state of `part`. `remedy` is "" if there is nothing to do."""

    part: str
    level: Level
    detail: str
    remedy: str = ""


type Findings = Iterator[Finding]


def examine() -> Findings:
    for part, look in EXAMINATIONS.items():
        try:
            yield from look()
        except (DatabaseError, redis.RedisError, OSError) as error:
            # Only the class: drivers' messages have host and user names, and people pass reports on.
            yield Finding(part, *UNREACHABLE[part], f"{REMEDIES[part]} ({type(error).__name__})")


# -- the database ------------------------------------------------------------------------------------------------


def examine_database() -> Findings:
    connection.ensure_connection()
    yield from examine_postgres() if connection.vendor == "postgresql" else examine_sqlite()
    missing = check_migrations()
    if missing != OK:
        yield Finding("database", Level.ERROR, f"Migrations: {missing.split(':')[0]}.", "manage.py migrate")
        return
    yield from find_missing_indexes()
    yield from find_failed_checks()
    yield from find_failed_writes()


def examine_sqlite() -> Findings:
    [(journal,)] = ask("PRAGMA journal_mode")
    [(damage,)] = ask("PRAGMA quick_check(1)")
    if damage != "ok":
        yield Finding("database", Level.ERROR, f"SQLite's file is damaged: {damage}", "Restore it from a backup.")
    if journal != "wal":
        yield Finding("database", Level.WARNING, f"SQLite's journal is {journal}.", "PRAGMA journal_mode=WAL")
    yield Finding("database", Level.OK, f"SQLite, {journal} journal, intact.")


def examine_postgres() -> Findings:
    version = connection.pg_version // 10_000  # type: ignore[attr-defined]  # PostgreSQL's wrapper has it
    if version < LEAST_POSTGRES:
        yield Finding("database", Level.ERROR, f"PostgreSQL {version}.", f"Upgrade to {LEAST_POSTGRES} or later.")
    else:
        yield Finding("database", Level.OK, f"PostgreSQL {version}.")
    yield from examine_settings()
    yield from find_pooler()
    yield from find_invalid_indexes()
    yield from find_silent_triggers()
    yield from find_dead_rows()


# Settings of PostgreSQL that should be on, and the risk without them.
WANTED = {
    "fsync": "If its machine crashes, all data can be lost or damaged.",
    "full_page_writes": "If its machine crashes, pages can be damaged.",
    "autovacuum": "Tables grow, and plans become bad, until somebody runs VACUUM.",
}
# What migrations create: words are found by their parts, and attributes within categories.
EXTENSIONS = {"pg_trgm", "btree_gin"}


def examine_settings() -> Findings:
    for name, value in ask("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(WANTED)]):
        if value != "on":
            remedy = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            yield Finding("database", Level.WARNING, f"{name} is {value}. {WANTED[name]}", remedy)
    there = {name for (name,) in ask("SELECT extname FROM pg_extension")}
    for name in sorted(EXTENSIONS - there):
        yield Finding("database", Level.ERROR, f"Extension {name} is missing.", f"CREATE EXTENSION {name};")
    [(most,)] = ask("SELECT setting::int FROM pg_settings WHERE name = 'max_connections'")
    wanted = settings.WEB_WORKERS * (settings.DATABASE_POOL or settings.WEB_THREADS) + 10
    if wanted > most:
        detail = f"max_connections is {most}, but this server alone may need {wanted}."
        yield Finding("database", Level.WARNING, detail, "Raise it, lower WEB_THREADS, or put PgBouncer in front.")


def find_pooler() -> Findings:
    """Finds a pooler in front of PostgreSQL, by the process number that it tells instead of PostgreSQL's."""
    driver: Any = connection.connection
    [(pid,)] = ask("SELECT pg_backend_pid()")
    if settings.DATABASE_PREPARE and driver.info.backend_pid != pid:
        detail = "There is a pooler in front of it, and reads are prepared (DATABASE_PREPARE)."
        remedy = "For PgBouncer before 1.22 set DATABASE_PREPARE=false. In later ones set max_prepared_statements=200."
        yield Finding("database", Level.WARNING, detail, remedy)


def find_missing_indexes() -> Findings:
    """Indexes and constraints of models that are missing in the database."""
    with connection.cursor() as cursor:
        for model in apps.get_models():
            there = connection.introspection.get_constraints(cursor, model._meta.db_table)
            for thing in [*model._meta.indexes, *model._meta.constraints]:
                if thing.name not in there:
                    detail = f"{thing.name} of {model._meta.db_table} is missing."
                    yield Finding("database", Level.ERROR, detail, write_creation(model, thing))


def find_failed_checks() -> Findings:
    """Findings of the apps' own database checks, such as triggers that don't match their model."""
    for found in run_checks(tags=[Tags.database], databases=["default"]):
        yield Finding("database", Level.ERROR, found.msg, found.hint or "manage.py check --database default")


def find_failed_writes() -> Findings:
    """Try a write of each app and roll it back. A database may answer reads but fail at writes."""
    for write in TRIALS:
        try:
            write()
        except DatabaseError as error:
            detail = f"It answers reads, but a write failed ({type(error).__name__})."
            remedy = "Its log says why: a trigger, a full disk, a lost permission, default_transaction_read_only."
            yield Finding("database", Level.ERROR, detail, remedy)


def write_creation(model: Any, thing: Any) -> str:
    return f"{thing.create_sql(model, connection.schema_editor(collect_sql=True))};"


def find_invalid_indexes() -> Findings:
    for (name,) in ask("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"):
        detail = f"Index {name} is invalid: writes maintain it, but no read uses it."
        yield Finding("database", Level.ERROR, detail, f"REINDEX INDEX CONCURRENTLY {name};")


def find_silent_triggers() -> Findings:
    """Disabled triggers. Changes of their tables don't reach the change log."""
    silent = ask("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgenabled = 'D' AND NOT tgisinternal")
    for table, name in silent:
        remedy = f"ALTER TABLE {table} ENABLE TRIGGER {name};"
        yield Finding("database", Level.ERROR, f"Trigger {name} of {table} is disabled.", remedy)


def find_dead_rows() -> Findings:
    rows = ask("SELECT relname, n_live_tup, n_dead_tup FROM pg_stat_user_tables WHERE n_dead_tup > %s", [DEAD_ROWS])
    for table, live, dead in rows:
        if dead > DEAD_SHARE * (live + dead):
            detail = f"{table} has {dead} dead rows and {live} live ones."
            yield Finding("database", Level.WARNING, detail, f"VACUUM (ANALYZE) {table};")


def ask(sql: str, values: Any = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


# -- the other parts ---------------------------------------------------------------------------------------------


def examine_cache() -> Findings:
    if not settings.REDIS_URL:
        yield Finding("cache", Level.OK, "In this process, since REDIS_URL is not set.")
        return
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
        took = min(time_call(client.ping) for _ in range(5)) * 1000
        yield from find_failed_keeping(client)
    if took > SLOW_CACHE_MS:
        yield Finding("cache", Level.WARNING, f"Redis takes {took:.1f} ms.", "Move it nearer, or check its load.")
    else:
        yield Finding("cache", Level.OK, f"Redis, {took:.2f} ms.")
    policy = read_eviction_policy()
    if policy.startswith("allkeys"):
        detail = f"maxmemory-policy {policy} may drop waiting tasks."
        yield Finding("cache", Level.ERROR, detail, "CONFIG SET maxmemory-policy noeviction")


def find_failed_keeping(client: Any) -> Findings:
    """A full Redis, and a replica, answer what they are asked and keep nothing."""
    try:
        client.set("doctor", b"", ex=1)
    except redis.ResponseError as error:
        detail = f"Redis answers, but keeps nothing ({type(error).__name__}): sign-ins and new jobs are refused."
        yield Finding(
            "cache", Level.ERROR, detail, "Give it more memory (maxmemory), or let REDIS_URL name the primary."
        )


def time_call(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def examine_worker() -> Findings:
    state = check_worker()
    if state == OK:
        yield Finding("worker", Level.OK, "Its last heartbeat is some seconds old.")
    else:
        yield Finding("worker", Level.WARNING, "No worker runs: exports, imports and purges wait.", "make worker")


def examine_disk() -> Findings:
    for folder in list_folders():
        free = shutil.disk_usage(folder).free
        if free < LEAST_DISK_BYTES:
            level = Level.ERROR if free < LEAST_DISK_BYTES / 10 else Level.WARNING
            yield Finding("disk", level, f"{folder}: {free // 2**20} MiB free.", "Free some, or move the folder.")
        else:
            yield Finding("disk", Level.OK, f"{folder}: {free // 2**30} GiB free.")


def list_folders() -> list[Path]:
    """The folders that this installation writes to: of SQLite's file and of jobs' files."""
    folders = [settings.BASE_DIR]
    if connection.vendor == "sqlite":
        folders.append(Path(str(connection.settings_dict["NAME"])).resolve().parent)
    if location := settings.STORAGES["jobs"].get("OPTIONS", {}).get("location"):
        folders.append(Path(location))
    return sorted({folder for folder in folders if folder.exists()})


def examine_clock() -> Findings:
    """Compares this machine's clock with the database's. On SQLite they are the same."""
    if connection.vendor == "postgresql":
        [(there,)] = ask("SELECT clock_timestamp()")
        apart = abs((there - datetime.now(UTC)).total_seconds())
        if apart > CLOCK_SECONDS:
            detail = f"It differs from the database's by {apart:.0f} s."
            yield Finding("clock", Level.WARNING, detail, "Run chrony or ntpd on both machines.")
            return
    yield Finding("clock", Level.OK, "It agrees with the database's.")


def examine_our_settings() -> Findings:
    level = Level.ERROR if is_exposed() else Level.WARNING
    dangers = [
        Finding("settings", level, f"{danger.name} {danger.detail}.", danger.remedy) for danger in list_dangers()
    ]
    if is_exposed() and not settings.HTTPS:
        remedy = "Put a proxy that ends TLS in front and set HTTPS=true."
        dangers.append(Finding("settings", Level.WARNING, "HTTPS is off, but others can reach this server.", remedy))
    dangers += [
        Finding("settings", Level.WARNING, f"{danger.name} {danger.detail}.", danger.remedy)
        for danger in filter(None, (find_open_redis(), *list_local_defaults()))
    ]
    if has_proxy() and not settings.METRICS_TOKEN:
        detail = "Nobody may read /metrics: a proxy may be in front, and METRICS_TOKEN is not set."
        dangers.append(Finding("settings", Level.WARNING, detail, "Set METRICS_TOKEN, also in Prometheus."))
    yield from dangers or [Finding("settings", Level.OK, "Nothing dangerous.")]
    if (settings.TRUSTED_PROXIES or settings.HTTPS) and settings.PROXY_HEADER != "Forwarded":
        # The server turns both names into one before our code runs.
        detail = "A proxy is trusted, and X_Forwarded_For counts as its X-Forwarded-For."
        remedy = "If the proxy can send Forwarded, set PROXY_HEADER=Forwarded; else let it drop names with underscores."
        yield Finding("settings", Level.OK, detail, remedy)


def examine_data() -> Findings:
    """Stored rows that today's rules would refuse. Nothing rewrites them silently."""
    found = [Finding("data", Level.WARNING, detail, remedy) for detail, remedy in find_amiss()]
    yield from found or [Finding("data", Level.OK, "All stored rows follow today's rules.")]


EXAMINATIONS: dict[str, Callable[[], Findings]] = {
    "database": examine_database,
    "data": examine_data,
    "cache": examine_cache,
    "worker": examine_worker,
    "disk": examine_disk,
    "clock": examine_clock,
    "settings": examine_our_settings,
}
# The finding for a part that doesn't answer. Requests are still answered without Redis or a worker.
UNREACHABLE = {
    "database": (Level.ERROR, "It doesn't answer."),
    "data": (Level.WARNING, "Unknown, since the database doesn't answer."),
    "cache": (Level.WARNING, "Redis doesn't answer; requests are answered without it."),
    "worker": (Level.WARNING, "Unknown, since the database doesn't answer."),
    "disk": (Level.WARNING, "It can't be examined."),
    "clock": (Level.WARNING, "Unknown, since the database doesn't answer."),
    "settings": (Level.WARNING, "They can't be examined."),
}
REMEDIES = {
    "database": "Check that it runs, and that DATABASE_URL is right.",
    "data": "Repair the database first.",
    "cache": "Check that it runs, and that REDIS_URL is right.",
    "worker": "Repair the database first.",
    "disk": "Check that the folder exists and is readable.",
    "clock": "Repair the database first.",
    "settings": "Repair the part that the error names.",
}
