"""A reader who follows a request comes into few rooms, and seldom back into one; tests/walk.py says what counts."""

import re
from typing import Any

import pytest
from django.db import connection

from tests.launching import ROOT, find_database_url, run_command

GREATEST_ROOMS = 20
GREATEST_RETURNS = 60


def read_table(text: str) -> dict[str, tuple[int, int, int]]:
    """Rooms, turns and returns by kind of request."""
    rows = re.findall(r"^\| (.+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    return {kind: (int(rooms), int(turns), int(returns)) for kind, rooms, turns, returns in rows}


def find_long(walks: dict[str, tuple[int, int, int]]) -> list[str]:
    return [kind for kind, (rooms, _, back) in walks.items() if rooms > GREATEST_ROOMS or back > GREATEST_RETURNS]


@pytest.mark.slow
@pytest.mark.skipif(
    connection.vendor != "sqlite",
    reason="the guide counts on SQLite; on PostgreSQL a cold list comes back once more, to the stored rows",
)
@pytest.mark.django_db(transaction=True)
def test_no_request_jumps_often_between_packages(settings: Any) -> None:
    done = run_command("-m", "tests.walk", DATABASE_URL=find_database_url(), REDIS_URL=settings.REDIS_URL or "")
    assert done.returncode == 0, done.stderr
    walks = read_table(done.stdout)
    assert not find_long(walks), done.stdout
    # The guide shows some of the kinds, in the same order; its numbers are those of a day, on SQLite.
    shown = read_table((ROOT / "config/api/README.md").read_text())
    assert list(shown) == [kind for kind in walks if kind in shown]
    assert len(shown) >= 4
    assert not find_long(shown)
