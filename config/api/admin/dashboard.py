"""The admin's first page: figures, charts and work in progress, each with a link to what it counts.

An app registers a source in its `ready()`: a function of the request that yields items for this user, by few queries
that don't grow with the tables.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

# A chart shows so many days, today included.
DAYS = 14


@dataclass(frozen=True)
class Figure:
    """`Orders to ship: 12`. An alarm asks for somebody's work."""

    label: str
    text: str
    link: str
    note: str = ""
    is_alarm: bool = False


@dataclass(frozen=True)
class Chart:
    """A number for each of the last DAYS days, the oldest first."""

    label: str
    link: str
    numbers: Sequence[int]

    @property
    def data(self) -> str:
        """What unfold's chart reads."""
        colour = "var(--color-primary-600)"
        values = {"label": self.label, "data": list(self.numbers), "backgroundColor": colour, "displayYAxis": True}
        return json.dumps({"labels": [f"{day:%b} {day.day}" for day in list_days()], "datasets": [values]})

    @property
    def summary(self) -> str:
        return f"{self.label}: {sum(self.numbers):,} in {DAYS} days, {self.numbers[-1]:,} today"


@dataclass(frozen=True)
class Work:
    """A job that runs, waits, or has failed lately."""

    label: str
    link: str
    percent: int
    state: str
    is_failed: bool
    error: str = ""


type Source = Callable[[HttpRequest], Iterable[Figure | Chart | Work]]

SOURCES: list[Source] = []


def register_dashboard(source: Source) -> None:
    if source not in SOURCES:
        SOURCES.append(source)


def fill_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """UNFOLD's DASHBOARD_CALLBACK."""
    items = [item for source in SOURCES for item in source(request)]
    context["figures"] = [item for item in items if isinstance(item, Figure)]
    context["charts"] = [item for item in items if isinstance(item, Chart)]
    context["work"] = [item for item in items if isinstance(item, Work)]
    return context


def list_days() -> list[datetime]:
    """The beginnings of the last DAYS days, in UTC, the oldest first."""
    today = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]


def show_count(number: int, most: int) -> str:
    """A number that was counted up to most + 1."""
    return f"{most:,}+" if number > most else f"{number:,}"
