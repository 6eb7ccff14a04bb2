"""One of several processes that use up one rate limit, each with 16 threads. It prints how many requests passed.

`python -m tests.takers TIMES PROCESSES` starts when all PROCESSES are ready. Each thread makes TIMES requests.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import django
from django.conf import settings
from django_redis import get_redis_connection

THREADS = 16


def main(times: int, processes: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # After a time-out of Redis a request would pass uncounted, so the time-outs are long here.
    settings.CACHES["default"]["OPTIONS"] |= {"SOCKET_TIMEOUT": 20, "SOCKET_CONNECT_TIMEOUT": 20}
    from config.api.access.rate_store import Rate, take

    rate, start = Rate(500, 3600, "hour"), Barrier(THREADS)

    def hit(_: int) -> int:
        start.wait()
        standings = [take(rate, "address", "192.0.2.1") for _ in range(times)]
        return sum(standing is not None and standing.is_allowed for standing in standings)

    wait_for_others(processes)
    with ThreadPoolExecutor(THREADS) as pool:
        print("passed", sum(pool.map(hit, range(THREADS))))


def wait_for_others(processes: int) -> None:
    redis = get_redis_connection("default")
    redis.incr("takers")
    while int(redis.get("takers")) < processes:
        time.sleep(0.01)  # nothing tells when another process is ready


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
