"""How many streams a process serves at once: each takes a thread for as long as its client reads."""

import threading
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
    """`take()` one before a stream begins, give it back once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.free = threading.BoundedSemaphore(most)

    def take(self) -> None:
        if not self.free.acquire(blocking=False):
            raise TooManyExports(self.most)

    def give_back(self) -> None:
        self.free.release()


SLOTS = Slots(settings.EXPORT_STREAMS)
