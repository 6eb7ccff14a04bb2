"""A plan of a trigger is kept for the session, so the one for a first statement of one row must serve thousands."""

import json
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from tests.factories import make_product

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's triggers see one row at a time"),
]
# A statement's rows of before and after, which only a full join doesn't compare each with each.
TUPLES = "Named Tuplestore Scan"
EXPLAIN = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
SET auto_explain.log_format = json; SET client_min_messages = log"""


@pytest.fixture
def session() -> Iterator[psycopg.Connection[Any]]:
    # Only superusers may load the module.
    address = os.environ["SUPERUSER_URL"].rpartition("/")[0]
    with psycopg.connect(f"{address}/{connection.settings_dict['NAME']}", autocommit=True) as session:
        session.execute(EXPLAIN)
        yield session


def follow_plans(session: psycopg.Connection[Any]) -> list[Any]:
    """The plan of every statement that the session runs from now on, also within triggers."""
    plans: list[Any] = []

    def note(message: Any) -> None:
        _, _, plan = message.message_primary.partition("plan:")
        plans.extend([json.loads(plan)["Plan"]] if plan else [])

    session.add_notice_handler(note)
    return plans


def walk(node: Any) -> Iterator[Any]:
    yield node
    for below in node.get("Plans", ()):
        yield from walk(below)


def compares_each_with_each(node: Any) -> bool:
    sides = [any(below["Node Type"] == TUPLES for below in walk(side)) for side in node.get("Plans", ())]
    return node["Node Type"] == "Nested Loop" and sum(sides) > 1


@pytest.mark.parametrize(
    "write",
    [
        "UPDATE catalog_variant SET price = 3",
        "UPDATE catalog_product SET rating = 4, price = 2",
        "UPDATE catalog_stock SET on_hand = 0",
        "UPDATE catalog_image SET position = 7",
    ],
)
def test_no_trigger_compares_each_row_with_each(write: str, session: psycopg.Connection[Any]) -> None:
    make_product()
    plans = follow_plans(session)
    session.execute(write)
    nodes = [node for plan in plans for node in walk(plan)]
    assert sum(node["Node Type"] == TUPLES for node in nodes) > 1
    assert not [node for node in nodes if compares_each_with_each(node)]
