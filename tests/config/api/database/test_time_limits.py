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


def test_the_limit_is_for_one_statement() -> None:
    limit = TimeLimit(100, CountTooDear)
    assert make_statement(0, limit).fetch_number() >= 0
    assert make_statement(0.2, None).fetch_number() > 0
    with pytest.raises(CountTooDear):
        make_statement(10, limit).fetch_number()
    assert make_statement(0.2, None).fetch_number() > 0
    assert not connection.in_atomic_block


def test_within_a_transaction_nothing_is_limited() -> None:
    """It would end with the statement."""
    with transaction.atomic():
        assert make_statement(0.2, TimeLimit(10, CountTooDear)).fetch_number() > 0
        with end_after(connection, 10):
            assert make_statement(0.1, None).fetch_number() > 0
