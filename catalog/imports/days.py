"""The days between which a sale price is valid: cells in, dates out. A cell that isn't clear raises BadValue."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from catalog.writes.values import BadValue

# A time or a zone may follow.
ISO = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)(?!\d).*", re.DOTALL)
# Month, day and year, as Magento writes them everywhere.
AMERICAN = re.compile(r"(\d\d?)/(\d\d?)/(\d{2}|\d{4})(?!\d).*", re.DOTALL)
CENTURY = 2000


def read_day(cell: Any) -> date:
    """A day as `2026-01-31`. A spreadsheet may have made `1/2/2026` of it, and who knows which day that is?"""
    return make_day(cell, ISO, (0, 1, 2))


def read_magento_day(cell: Any) -> date:
    """A day as `1/31/26`, or as `2026-01-31`."""
    is_iso = not isinstance(cell, str) or ISO.fullmatch(cell.strip())
    return read_day(cell) if is_iso else make_day(cell, AMERICAN, (2, 0, 1))


def make_day(cell: Any, form: re.Pattern[str], places: Sequence[int]) -> date:
    """The day. `places` are those of year, month and day."""
    if isinstance(cell, date):
        return cell.date() if isinstance(cell, datetime) else cell
    try:
        found = [int(part) for part in form.fullmatch(str(cell).strip()).groups()]  # type: ignore[union-attr]  # caught
        year, month, day = (found[place] for place in places)
        return date(year + CENTURY if year < 100 else year, month, day)
    except (AttributeError, ValueError):
        raise BadValue("invalid", "is not a day", "write year, month and day, as in 2026-01-31") from None


def read_times(cell: Any) -> tuple[datetime, datetime]:
    """Two times as in `2026-01-01T00:00Z/2026-02-01T00:00Z`. Without a zone they are UTC."""
    try:
        first, last = (datetime.fromisoformat(part.strip()) for part in str(cell).split("/"))
    except ValueError:
        rule, remedy = "is not two times with a / between", "write them as in 2026-01-01T00:00Z/2026-02-01T00:00Z"
        raise BadValue("invalid", rule, remedy) from None
    return first if first.tzinfo else first.replace(tzinfo=UTC), last if last.tzinfo else last.replace(tzinfo=UTC)
