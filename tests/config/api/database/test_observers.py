"""Who observes the statements of a block sees all of them, and nothing that comes after it."""

import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from config.api.database.authorship import sign_writes
from config.api.database.observers import OBSERVERS, observe
from config.api.freshness.tables import note_reads
from tests.factories import make_product

pytestmark = pytest.mark.django_db(transaction=True)


def look(into: list[str]) -> list[str]:
    """What an observer sees of one more statement."""

    def note(execute: Any, sql: str, *args: Any) -> Any:
        into.append(sql)
        return execute(sql, *args)

    with observe(note), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return into


def test_a_connection_that_is_made_under_another_wrapper_is_observed_ever_after() -> None:
    def begin() -> list[str]:
        # sign_writes takes away the wrapper that is the last when it ends.
        with sign_writes(), connection.cursor() as cursor:
            cursor.execute("SELECT 0")
        seen = look([])
        connections.close_all()
        return seen

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(begin).result() == ["SELECT 1"]


@pytest.mark.slow
def test_an_explanation_that_failed_disturbs_no_later_observer(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_product()
    staff.raise_request_exception = False

    def fail(*args: Any) -> None:
        raise RuntimeError

    gc.disable()  # as it may come: in the middle of another request
    logging.disable()  # a line about it would hold the request
    try:
        monkeypatch.setattr("config.api.reads.list_plans.KeysetPlan.read", fail)
        assert staff.get("/api/v1/products/?explain=1").status_code == 500
        assert OBSERVERS.get() == ()
        with note_reads() as reads:
            gc.collect()
            with connection.cursor() as cursor:
                cursor.execute("SELECT id FROM catalog_product")
        assert reads.tables == {"catalog_product"}
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()
    assert OBSERVERS.get() == ()
