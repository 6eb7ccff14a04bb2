"""How many streams a process serves at once, each by a thread for as long as its client reads, and who goes first.

On two cores two streams beside the API are two backends of PostgreSQL that never rest, and a request waits for a core
at each of its steps. So streams give way while there are requests: their 99th of a hundred took 6 times as long as
without streams, and takes 2.5 to 3 times.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable
from http import HTTPStatus

from django.conf import settings

from config.api.problems.errors import ApiError
from config.process.activity import ACTIVITY
from config.process.affinity import count_processors

# Of the time that a chunk took to read.
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
    """`hold(blocks)` takes one as the blocks begin, and gives it back where they end, are closed or forgotten."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.lock = threading.Lock()
        # Half of the cores are for others.
        self.turns = threading.BoundedSemaphore(max(1, count_processors() // 2))

    def hold(self, blocks: Iterable[bytes]) -> Generator[bytes]:
        """TooManyExports in the place of the first block where all slots are taken."""
        self.take()
        # Of a generator, since Python runs its `finally` once, also where a middleware drops the answer unread.
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
        """How many chunks a stream reads at once: two while it is the only one, as psql's one query takes workers."""
        return 2 if self.taken <= 1 else 1

    def take_turn[Found](self, read: Callable[[], Found]) -> Found:
        """What `read` gives; while requests are served beside it, few at once and with a pause after each."""
        if not ACTIVITY.is_recent:
            return read()
        with self.turns:
            began = time.monotonic()
            found = read()
            time.sleep(PAUSE * (time.monotonic() - began))  # in its turn, or the next would fill the pause
            return found


SLOTS = StreamSlots(settings.EXPORT_STREAMS)
