"""Bodies in, nothing out: every contestant gives the same rows with the same values, or the benchmark stops."""

import json
import re
from datetime import datetime
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


class Disagreement(Exception):
    """Two contestants don't do the same work."""


def read_rows(body: bytes) -> list[Any]:
    """The page's rows, wherever a contestant puts them; one object is a list of itself."""
    data = json.loads(body)
    rows = next((data[name] for name in ("results", "items") if name in data), [data])
    return [normalise(row) for row in rows]


def normalise(value: Any) -> Any:
    """Times by what they mean: `Z` and `+00:00` are the same moment. Amounts stay the text they are."""
    if isinstance(value, dict):
        return {name: normalise(below) for name, below in value.items()}
    if isinstance(value, list):
        return [normalise(below) for below in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        return datetime.fromisoformat(value)
    return value


def check_rows(name: str, rows: list[Any], expected: list[Any]) -> None:
    if len(rows) != len(expected):
        raise Disagreement(f"{name} gives {len(rows)} rows, not {len(expected)}")
    for row, wanted in zip(rows, expected, strict=True):
        if row != wanted:
            differing = [key for key in row.keys() | wanted.keys() if row.get(key, ...) != wanted.get(key, ...)]
            raise Disagreement(
                f"{name}, product {wanted.get('id')}: "
                + "; ".join(f"{key} is {row.get(key, ...)!r}, not {wanted.get(key, ...)!r}" for key in differing)
            )


def check_admin(page: bytes, mark: bytes) -> None:
    """The load generator takes the way to the login form for an answer, and that is fast at any size."""
    if mark not in page:
        raise Disagreement(f"a page of the admin has no {mark.decode()}: is its session signed in?")
