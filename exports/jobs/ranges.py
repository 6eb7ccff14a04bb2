"""`Range` and `If-Range` in, the bytes to send out (RFC 9110, 13.1.5 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exports.errors import RangeNotSatisfiable

# Eighteen digits are an exabyte; int() of thousands takes its time.
ONE_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """`size` bytes of a file of `total`, from `start` on."""

    start: int
    size: int
    total: int
    is_partial: bool = True

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.size - 1}/{self.total}"


def read_span(headers: Mapping[str, str], etag: str, total: int) -> Span:
    """RangeNotSatisfiable for a range behind the end; the whole file for several ranges, as a server may."""
    whole = Span(0, total, total, is_partial=False)
    found = ONE_RANGE.fullmatch(headers.get("Range", ""))
    # Another file by now, or a date, which ours haven't got: a piece of it would be joined to the wrong rest.
    if not found or not any(found.groups()) or headers.get("If-Range", etag) != etag:
        return whole
    first, last = found.groups()
    start = int(first) if first else max(0, total - int(last))
    end = min(int(last), total - 1) if first and last else total - 1
    if first and last and int(last) < start:
        return whole  # no range at all, so it counts as none
    if start > end:
        raise RangeNotSatisfiable(total)
    return Span(start, end - start + 1, total)
