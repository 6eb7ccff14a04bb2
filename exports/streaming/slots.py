"""Limits the streams of a process, and gives requests priority. Each stream holds a thread while its client reads.

On two cores, two streams keep two backends of PostgreSQL busy all the time, so each request waits for a core again and
again. Streams therefore pause while there are requests. This lowers the requests' 99th percentile from 6 to about 3
times the value without streams.
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
    """EXPORT_STREAMS streams are being sent already. `Retry-After` says when to try again."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "too_many_exports"
    wait = 5  # seconds, as DRF's exceptions name it

    def __init__(self, most: int) -> None:
        detail = f"{most} exports are being sent already; this is the limit."
        super().__init__(detail, f"Try again in {self.wait} seconds.")


class StreamSlots:
    """A semaphore for streams, at most `most` at once. `hold(blocks)` takes a slot at the first block and frees it at
    the end.
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.lock = threading.Lock()
        # The chunks that are read at once while there are requests: half of the cores stay free for those.
        self.turns = threading.BoundedSemaphore(max(1, count_processors() // 2))

    def hold(self, blocks: Iterable[bytes]) -> Generator[bytes]:
        """The blocks, while holding a slot. The first step raises TooManyExports if all slots are taken."""
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
        """The number of chunks that a stream reads at once: two if it is the only stream of the process, else one."""
        return 2 if self.taken <= 1 else 1

    def take_turn[Found](self, read: Callable[[], Found]) -> Found:
        """The result of `read`. While there are requests, few streams read at once, and each pauses afterwards."""
        if not ACTIVITY.is_recent:
            return read()
        with self.turns:
            began = time.monotonic()
            found = read()
            time.sleep(PAUSE * (time.monotonic() - began))  # while holding the turn, so no other stream uses the pause
            return found


SLOTS = StreamSlots(settings.EXPORT_STREAMS)
