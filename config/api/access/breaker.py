"""A circuit breaker for Redis: after some failures in a row no request calls Redis, until a thread finds it is back.

If Redis hangs, each request would wait for its time-out. With a breaker only the first few requests wait, and no
request waits to find out that Redis is back.
"""

import logging
import threading
import time

from django_redis import get_redis_connection
from redis.exceptions import RedisError

logger = logging.getLogger("tenfold.redis")

# Seconds between two pings of that thread.
PROBE_SECONDS = 0.25


class Breaker:
    """Opens at the `most`th failure in a row; the log line ends with `without`. Every thread may use it."""

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
            except (RedisError, OSError, ValueError):
                # The last one is redis-py's for a connection that another thread has closed meanwhile. If this thread
                # ended by it, the breaker would stay open.
                continue
            logger.warning("Redis answers again")
            self.failures, self.is_open = 0, False
