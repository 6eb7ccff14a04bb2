"""Whether Redis is asked at all: after so many failures in a row it isn't, until a thread of its own finds it back.

A hung Redis costs each asker its timeout; with a breaker it costs the first few theirs, and no request waits to find
out that it's back.
"""

import logging
import threading
import time

from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger("tenfold.redis")

# A ping each time, of one thread; so much longer than Redis does a server go without it.
PROBE_SECONDS = 0.25


class Breaker:
    """Opens at the `most`th failure in a row; `without` says for the log what is done meanwhile. Safe for threads."""

    def __init__(self, most: int, without: str) -> None:
        self.most, self.without = most, without
        self.failures, self.is_open = 0, False
        self.lock = threading.Lock()

    def note_success(self) -> None:
        self.failures = 0

    def note_failure(self, error: Exception) -> None:
        with self.lock:
            self.failures += 1
            if self.is_open or self.failures < self.most:
                return
            self.is_open = True
        logger.warning("Redis doesn't answer, so %s: %s", self.without, error)
        threading.Thread(target=self.wait, name="redis-probe", daemon=True).start()

    def wait(self) -> None:
        while self.is_open:
            time.sleep(PROBE_SECONDS)
            try:
                get_redis_connection("default").ping()
            except (RedisError, OSError):
                continue
            logger.warning("Redis answers again")
            self.failures, self.is_open = 0, False
