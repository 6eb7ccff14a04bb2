"""Tells the database who writes, and in which request, so that its triggers can put both into the change log.

On PostgreSQL three settings (`tenfold.actor`, `tenfold.request_id`, `tenfold.before`) last until the end of the
transaction, so nothing is left on a connection that others use next (PgBouncer). Within `sign_writes()` they are sent
before the first statement of each transaction; a write outside a transaction gets a transaction of its own. On SQLite
the triggers call `tenfold_setting(name)`, a function of the connection, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus
from rest_framework.request import Request

from config.api.database.observers import TRANSACTION
from config.logs import REQUEST_ID

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

ACTOR: ContextVar[str] = ContextVar("actor", default="")
# The environ of a request that may write; None outside of a request, and for a request that only reads.
ENVIRON: ContextVar[dict[str, Any] | None] = ContextVar("environ", default=None)
# The key of a request's environ that holds the caller's id.
CALLER = "tenfold.caller"
# Whether the log stores each row as it was before the write. An import turns it off: it would copy the catalogue.
KEEPS_BEFORE: ContextVar[bool] = ContextVar("keeps_before", default=True)

WRITES = ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "COPY", "TRUNCATE")

SETTINGS = {
    "actor": ACTOR.get,
    "request_id": REQUEST_ID.get,
    "before": lambda: "on" if KEEPS_BEFORE.get() else "off",
}


def name_actor(user: AbstractBaseUser | AnonymousUser) -> None:
    """Set `user` as the author of this thread's writes, until the request ends (see AccessLog)."""
    ACTOR.set(f"user:{user.pk}" if user.pk else "")


def name_caller(request: Request) -> None:
    """Write as the caller of the request from here on; its log line names them too."""
    name_actor(request.user)
    request.META[CALLER] = request.user.pk


@contextmanager
def sign_writes(*, keep_before: bool = True) -> Iterator[None]:
    """Sign what this thread writes within the block with the present actor and request id."""
    token = KEEPS_BEFORE.set(keep_before)
    try:
        if connection.vendor == "postgresql":
            with connection.execute_wrapper(Signature()):
                yield
        else:
            yield
    finally:
        KEEPS_BEFORE.reset(token)


class Signature:
    """An `execute_wrapper`: signs each transaction before its first statement."""

    def __init__(self) -> None:
        self.signed: list[tuple[str, str]] = []

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        database: BaseDatabaseWrapper = context["connection"]
        if database.in_atomic_block:
            if is_new(database) or self.signed != list_settings():
                self.sign(database)
            return execute(sql, params, many, context)
        if not str(sql).lstrip().upper().startswith(WRITES):
            return execute(sql, params, many, context)
        with transaction.atomic(using=database.alias):
            self.sign(database)
            return execute(sql, params, many, context)

    def sign(self, database: Any) -> None:
        self.signed = list_settings()
        sql = f"SELECT {', '.join(['set_config(%s, %s, true)'] * len(self.signed))}"
        with database.wrap_database_errors:
            database.connection.execute(sql, [text for pair in self.signed for text in pair])


def list_settings() -> list[tuple[str, str]]:
    return [(f"tenfold.{name}", read()) for name, read in SETTINGS.items()]


def is_new(database: Any) -> bool:
    """Whether the transaction has had no statement yet: psycopg sends BEGIN with the first one."""
    return bool(database.connection.info.transaction_status == TransactionStatus.IDLE)


def read_setting(database: Any, name: str) -> str | int:
    """What `tenfold_setting(name)` gives on a connection of SQLite."""
    number: int = getattr(database, TRANSACTION)
    return number if name == "transaction" else SETTINGS[name]()
