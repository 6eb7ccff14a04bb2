"""The pieces of a facets statement that PostgreSQL and SQLite write differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import connections

from config.api.reads.projection import quote_text

# The place within its run of the n-th id that is drawn: scattered, and the same each time on both databases.
# Percent signs are doubled, since the driver looks for placeholders.
SCATTER = "(n * n %% 1000003 * 48271 + n * 16807) %% 2147483647 %% step"


@dataclass(frozen=True)
class Dialect:
    """`draws` are common table expressions, the last one with the drawn ids. `order` sorts by code points.

    `values` are expressions of an attribute's value by its declared type, NULL for a value of another type and for "",
    which no filter can name. `{}` is the attribute's name, as `quote` writes it.
    """

    draws: str
    order: str
    values: Mapping[str, str]
    quote: Callable[[str], str]

    def write_value(self, name: str, type_: str) -> str:
        return self.values[type_].replace("{}", self.quote(name))


POSTGRESQL = Dialect(
    draws="""
draws(id) AS (
    SELECT low + n * step + {scatter} FROM span, generate_series(0::bigint, (high - low) / step) AS n
)""",
    order=' COLLATE "C"',
    values={
        "text": "CASE jsonb_typeof(attributes -> {}) WHEN 'string' THEN nullif(attributes ->> {}, '') END",
        "number": (
            "CASE jsonb_typeof(attributes -> {}) WHEN 'number' THEN trim_scale((attributes ->> {})::numeric) END"
        ),
        "boolean": "CASE jsonb_typeof(attributes -> {}) WHEN 'boolean' THEN attributes ->> {} END",
    },
    quote=quote_text,
)


def quote_path(name: str) -> str:
    return quote_text(connections["default"].ops.compile_json_path([name]))


SQLITE = Dialect(
    draws="""
numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers, span WHERE n < (high - low) / step),
draws(id) AS (SELECT low + n * step + {scatter} FROM span, numbers)""",
    order="",
    values={
        "text": "CASE json_type(attributes, {}) WHEN 'text' THEN nullif(json_extract(attributes, {}), '') END",
        "number": ("CASE WHEN json_type(attributes, {}) IN ('integer', 'real') THEN json_extract(attributes, {}) END"),
        "boolean": "CASE WHEN json_type(attributes, {}) IN ('true', 'false') THEN json_type(attributes, {}) END",
    },
    quote=quote_path,
)

DIALECTS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}
