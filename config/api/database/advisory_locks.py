"""Locks of names that no row has yet. PostgreSQL frees them when the transaction ends.

SQLite has one writer at a time, so there a transaction that writes is alone already.
"""

import hashlib

from django.db import connection


def number_lock(name: str) -> int:
    """PostgreSQL's number for the lock: 64 bits, signed."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def wait_for(name: str) -> None:
    """Wait until no other transaction holds the lock, and take it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number_lock(name)])


def take_if_free(name: str) -> bool:
    """Take the lock; false while another transaction holds it."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number_lock(name)])
        return bool(cursor.fetchone()[0])
