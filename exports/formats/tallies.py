"""Counts what an export has written so far: rows, bytes, their SHA-256, the last id."""

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """`size` is in bytes, before compression and without the last line. An export with `after=last_id` continues."""

    last_id: int = 0
    rows: int = 0
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes, rows: int = 0) -> None:
        self.rows += rows
        self.size += len(piece)
        self.digest.update(piece)
