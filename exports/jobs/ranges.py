"""`Range` and `If-Range` in, the bytes to send out (RFC 9110, sections 13.1.5 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exports.errors import RangeNotSatisfiable

# At most 18 digits, which is an exabyte: int() of thousands of digits is slow.
ONE_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """`size` bytes from `start` on, of a file with `total` bytes."""

    start: int
    size: int
    total: int
    is_partial: bool = True

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.size - 1}/{self.total}"


def read_span(headers: Mapping[str, str], etag: str, total: int) -> Span:
    """The bytes to send. Several ranges give the whole file. Raises RangeNotSatisfiable for a range after the end."""
    whole = Span(0, total, total, is_partial=False)
    found = ONE_RANGE.fullmatch(headers.get("Range", ""))
    # If-Range has another file's ETag or a date (which we don't support): a piece could be joined to a wrong file.
    if not found or not any(found.groups()) or headers.get("If-Range", etag) != etag:
        return whole
    first, last = found.groups()
    start = int(first) if first else max(0, total - int(last))
    end = min(int(last), total - 1) if first and last else total - 1
    if first and last and int(last) < start:
        return whole  # an invalid range is ignored
    if start > end:
        raise RangeNotSatisfiable(total)
    return Span(start, end - start + 1, total)
