"""How many streams a process serves at once: each takes a thread for as long as its client reads."""

import threading
from collections.abc import Generator, Iterable
from http import HTTPStatus

from django.conf import settings

from config.api.errors import ApiError


class TooManyExports(ApiError):
    """EXPORT_STREAMS streams are being sent; `Retry-After` says when to try again."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "too_many_exports"
    wait = 5  # seconds, as DRF's exceptions name it

    def __init__(self, most: int) -> None:
        detail = f"{most} exports are being sent already, which is the most at once."
        super().__init__(detail, f"Try again in {self.wait} seconds.")


class Slots:
    """`hold(blocks)` takes one as the blocks begin, and gives it back where they end, are closed or forgotten."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self.lock = threading.Lock()

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


SLOTS = Slots(settings.EXPORT_STREAMS)
