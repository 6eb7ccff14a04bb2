"""A statement with a time limit ends by it, is refused by its own error, and leaves its connection as it was."""

import time

import pytest
from django.db import connection, transaction

from config.api.database.statements import Statement
from config.api.database.time_limits import TimeLimit, end_after
from config.api.problems.errors import CountTooDear

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = {
    "postgresql": "SELECT 1 FROM (SELECT pg_sleep({seconds})) slept",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {seconds} * 1e7) "
    "SELECT count(*) FROM n",
}


def make_statement(seconds: float, limit: TimeLimit | None) -> Statement:
    return Statement("default", SLOW[connection.vendor].format(seconds=seconds), (), {}, limit)


def test_a_statement_past_its_limit_is_refused() -> None:
    began = time.monotonic()
    with pytest.raises(CountTooDear):
        make_statement(10, TimeLimit(100, CountTooDear)).fetch_number()
    assert time.monotonic() - began < 2


@pytest.mark.slow
def test_the_limit_is_for_one_statement() -> None:
    limit = TimeLimit(100, CountTooDear)
    assert make_statement(0, limit).fetch_number() >= 0
    assert make_statement(0.2, None).fetch_number() > 0
    with pytest.raises(CountTooDear):
        make_statement(10, limit).fetch_number()
    assert make_statement(0.2, None).fetch_number() > 0
    assert not connection.in_atomic_block


@pytest.mark.slow
def test_within_a_transaction_nothing_is_limited() -> None:
    """It would end with the statement."""
    with transaction.atomic():
        assert make_statement(0.2, TimeLimit(10, CountTooDear)).fetch_number() > 0
        with end_after(connection, 10):
            assert make_statement(0.1, None).fetch_number() > 0


def scan_slowly(seconds: float) -> str:
    """A statement that takes so long if it may scan tables, and no time otherwise."""
    return f"SELECT count(pg_sleep({seconds} * (current_setting('enable_seqscan') = 'on')::int))"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's planner knows which index to read")
def test_a_second_try_is_by_indexes() -> None:
    limit = TimeLimit(100, CountTooDear, retry_ms=5_000)
    assert Statement("default", scan_slowly(10), (), {}, limit).fetch_number() == 1
    began = time.monotonic()
    with pytest.raises(CountTooDear):
        make_statement(10, TimeLimit(100, CountTooDear, retry_ms=200)).fetch_number()
    assert time.monotonic() - began < 2
    assert not connection.in_atomic_block


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite reads a table in one order")
def test_a_limited_statement_reads_a_table_from_its_beginning() -> None:
    """Or pages of one search would have other products each time."""
    sql = "SELECT count(*) FROM (SELECT 1 WHERE current_setting('synchronize_seqscans') = 'off') started"
    assert Statement("default", sql, (), {}, TimeLimit(1_000, CountTooDear)).fetch_number() == 1
    assert Statement("default", sql, (), {}).fetch_number() == 0
