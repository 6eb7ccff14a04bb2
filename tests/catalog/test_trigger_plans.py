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


def test_the_log_looks_up_by_key_whatever_came_before(session: psycopg.Connection[Any]) -> None:
    """A plan that was made for many rows must serve one, too."""
    for _ in range(30):
        make_product()
    session.execute("ANALYZE catalog_variant")
    plans = follow_plans(session)
    session.execute("UPDATE catalog_stock SET on_hand = 7")
    logged = [node for plan in plans if "catalog_stock" not in str(plan.get("Relation Name")) for node in walk(plan)]
    looks = [node for node in logged if node.get("Alias") == "of_variant"]
    assert looks
    assert all("Index Cond" in node for node in looks), looks


def test_no_trigger_of_a_statement_is_compiled() -> None:
    """After a statement of thousands its kept plan would be compiled for each row: a price took a second.

    Those that store rows take keys as an array, of which a generic plan expects ten.
    """
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT DISTINCT p.proname, 'jit=off' = ANY (coalesce(p.proconfig, '{}'))
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND t.tgtype & 1 = 0
            AND p.proname NOT LIKE 'stored%'""")
        found = dict(cursor.fetchall())
    assert len(found) > 20
    assert not [name for name, is_off in found.items() if not is_off]
