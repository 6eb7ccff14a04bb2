"""The answers that this process keeps, bounded in bytes; a question is admitted when it is asked a second time."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any

from config.api.gates.entries import Entry

# How many addresses are remembered as asked once, twice over; 16,384 hashes are 1 MB.
SIGHTS = 8192
# Spellings of one question (Accept, the order of parameters) that find its answer at once.
SPELLINGS = 20_000


class Sights:
    """Which questions were asked lately: two sets of hashes, of which the older goes when the newer is full."""

    def __init__(self, most: int = SIGHTS) -> None:
        self.most = most
        self.now: set[int] = set()
        self.before: set[int] = set()

    def is_second(self, key: Hashable) -> bool:
        """Notes the first one."""
        sight = hash(key)
        if sight in self.now or sight in self.before:
            return True
        if len(self.now) >= self.most:
            self.before, self.now = self.now, set()
        self.now.add(sight)
        return False


class Memory:
    """Entries by question and coding, up to `most` bytes; the ones that nobody asked for go first (CLOCK).

    Corbato's "A paging experiment with the Multics system" (1968): as good as least-recently-used here, and a hit sets
    a flag in place of taking a lock.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = Lock()
        self.entries: dict[Hashable, Entry] = {}
        self.size = 0
        # Requests as they came, and which questions they are.
        self.spellings: dict[Hashable, Any] = {}

    def find(self, key: Hashable) -> Entry | None:
        entry = self.entries.get(key)
        if entry is not None:
            entry.was_used = True
        return entry

    def keep(self, key: Hashable, entry: Entry) -> None:
        """In place of what was there; one that is greater than a tenth of all the room isn't kept."""
        if entry.size > self.most // 10:
            return
        with self.lock:
            self.drop(key)
            self.entries[key] = entry
            self.size += entry.size
            while self.size > self.most:
                self.make_room()

    def make_room(self) -> None:
        key = next(iter(self.entries))
        entry = self.entries[key]
        self.drop(key)
        if entry.was_used:  # a second chance, behind the others
            entry.was_used = False
            self.entries[key] = entry
            self.size += entry.size

    def drop(self, key: Hashable) -> None:
        if (entry := self.entries.pop(key, None)) is not None:
            self.size -= entry.size

    def spell(self, request: Hashable, asked: Any) -> None:
        if len(self.spellings) >= SPELLINGS:
            self.spellings.clear()
        self.spellings[request] = asked
