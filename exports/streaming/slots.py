"""Limits the streams of a process, each of which holds a thread while its client reads, and lets requests go first.

On two cores, two streams keep two backends of PostgreSQL busy all the time, and a request waits for a core at each of
its steps. So streams give way while there are requests: the requests' 99th percentile was 6 times as long as without
streams, and is 2.5 to 3 times now.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable
from http import HTTPStatus

from django.conf import settings

from config.api.problems.errors import ApiError
from config.process.activity import ACTIVITY
from config.process.affinity import count_processors

# The pause after a chunk, as a share of the time that the chunk took to read.
PAUSE = 0.75


class TooManyExports(ApiError):
    """EXPORT_STREAMS streams are being sent; `Retry-After` says when to try again."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "too_many_exports"
    wait = 5  # seconds, as DRF's exceptions name it

    def __init__(self, most: int) -> None:
        detail = f"{most} exports are being sent already, which is the most at once."
        super().__init__(detail, f"Try again in {self.wait} seconds.")


class StreamSlots:
    """At most `most` streams at once. `hold(blocks)` takes a slot as the blocks begin, and frees it at their end."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.lock = threading.Lock()
        # How many chunks are read at once while there are requests, for which half of the cores stay free.
        self.turns = threading.BoundedSemaphore(max(1, count_processors() // 2))

    def hold(self, blocks: Iterable[bytes]) -> Generator[bytes]:
        """The blocks, within a slot; TooManyExports in place of the first one if all slots are taken."""
        self.take()
        # A generator's `finally` runs once, even if a middleware drops the answer unread.
        try:
            yield from blocks
        finally:
            self.give_back()

    def take(self) -> None:
        with self.lock:
            if self.taken >= self.most:
                raise TooManyExports(self.most)
            self.taken += 1

    def give_back(self) -> None:
        with self.lock:
            self.taken -= 1

    def find_width(self) -> int:
        """How many chunks a stream reads at once: two while it is the only stream of the process."""
        return 2 if self.taken <= 1 else 1

    def take_turn[Found](self, read: Callable[[], Found]) -> Found:
        """The result of `read`. While there are requests, few streams read at once, each with a pause afterwards."""
        if not ACTIVITY.is_recent:
            return read()
        with self.turns:
            began = time.monotonic()
            found = read()
            time.sleep(PAUSE * (time.monotonic() - began))  # within the turn, or another stream would fill the pause
            return found


SLOTS = StreamSlots(settings.EXPORT_STREAMS)
