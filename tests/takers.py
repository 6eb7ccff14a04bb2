"""Several processes that use up one rate limit, each with 16 threads. Each prints how many requests passed.

`python -m tests.takers TIMES PROCESSES`: forks that begin when all are ready. Each thread makes TIMES requests.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

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

    for _ in range(processes):
        if os.fork() == 0:
            take_all(times, processes, take, Rate(500, 3600, "hour"))
            return
    for _ in range(processes):
        assert os.wait()[1] == 0


def take_all(times: int, processes: int, take: Any, rate: Any) -> None:
    start = Barrier(THREADS)

    def hit(_: int) -> int:
        start.wait()
        standings = [take(rate, "address", "192.0.2.1") for _ in range(times)]
        return sum(standing is not None and standing.is_allowed for standing in standings)

    wait_for_others(processes)
    with ThreadPoolExecutor(THREADS) as pool:
        print("passed", sum(pool.map(hit, range(THREADS))), flush=True)


def wait_for_others(processes: int) -> None:
    redis = get_redis_connection("default")
    redis.incr("takers")
    while int(redis.get("takers")) < processes:
        time.sleep(0.01)  # nothing tells when another process is ready


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
