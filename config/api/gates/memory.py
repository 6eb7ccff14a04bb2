"""The entries that this process holds, up to a number of bytes. A cache key is admitted at its second request."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any

from config.api.gates.entries import Entry
from config.process.bounded import BoundedMap

# How many cache keys each of the two sets of a SecondAskFilter holds; 16,384 hashes are 1 MB.
MOST_FIRST_ASKS = 8192
# How many raw keys are remembered with their query. One query may have several (Accept, the order of parameters).
MOST_RAW_KEYS = 20_000


class SecondAskFilter:
    """The cache keys that were asked for recently, as two sets of hashes.

    When the newer set is full, it replaces the older one.
    """

    def __init__(self, most: int = MOST_FIRST_ASKS) -> None:
        self.most = most
        self.now: set[int] = set()
        self.before: set[int] = set()

    def is_second(self, key: Hashable) -> bool:
        """Whether `key` was asked for recently. This call counts as asking."""
        digest = hash(key)
        if digest in self.now or digest in self.before:
            return True
        if len(self.now) >= self.most:
            self.before, self.now = self.now, set()
        self.now.add(digest)
        return False


class Memory:
    """Entries by cache key and coding, up to `most` bytes. Entries that no request has used are dropped first (CLOCK).

    CLOCK is from Corbato's "A paging experiment with the Multics system" (1968). Here it is as good as
    least-recently-used, and a hit only sets a flag, without a lock.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = Lock()
        self.entries: dict[Hashable, Entry] = {}
        self.size = 0
        # The CacheQuery of a request, by its raw key.
        self.queries: BoundedMap[Hashable, Any] = BoundedMap(MOST_RAW_KEYS)

    def find(self, key: Hashable) -> Entry | None:
        entry = self.entries.get(key)
        if entry is not None:
            entry.was_used = True
        return entry

    def keep(self, key: Hashable, entry: Entry) -> None:
        """Hold `entry` instead of the former one. An entry larger than a tenth of `most` isn't held."""
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
        if entry.was_used:  # it gets a second chance, at the end of the queue
            entry.was_used = False
            self.entries[key] = entry
            self.size += entry.size

    def drop(self, key: Hashable) -> None:
        if (entry := self.entries.pop(key, None)) is not None:
            self.size -= entry.size
