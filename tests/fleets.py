"""Several servers on one database and one Redis. Each reaches Redis through its own proxy, which can fail alone."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.launching import Launched, find_database_url, launch_server
from tests.proxies import FaultProxy
from tests.services import RedisServer

QUIET = {"LOG_LEVEL": "ERROR", "RATE_LIMIT_ANON": "off", "RATE_LIMIT_TOKEN": "off", "RATE_LIMIT_LOGIN": "off"}


# Seconds that a killed worker may need to start again on a busy machine.
START_SECONDS = 15.0


@dataclass
class Served:
    """A launcher with its web workers, and its proxy (`line`) to Redis. `kills` counts the killed workers."""

    port: int
    launched: Launched
    line: FaultProxy
    kills: int = 0
    killed_at: float = 0.0

    def list_workers(self) -> list[int]:
        launcher = self.launched.process.pid
        return [int(child) for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]

    def kill_worker(self, choice: Random) -> None:
        """Kill a random worker, but not before the last killed one can have started again: one must always answer."""
        if time.monotonic() - self.killed_at < START_SECONDS:
            return
        self.killed_at = time.monotonic()
        self.kills += 1  # before the kill: a client whose connection is cut reads it
        os.kill(choice.choice(self.list_workers()), signal.SIGKILL)


@dataclass
class Fleet:
    redis: RedisServer
    servers: list[Served]


@contextmanager
def launch_fleet(*, servers: int = 2, redis: bool = True, **variables: str) -> Iterator[Fleet]:
    """Start the servers on the test's own database."""
    with ExitStack() as stack:
        store = RedisServer()
        stack.callback(stop_redis, store)
        fleet = Fleet(store, [])
        for _ in range(servers):
            line = stack.enter_context(FaultProxy(store.port))
            url = f"redis://127.0.0.1:{line.port}/0" if redis else ""
            settings = QUIET | {"DATABASE_URL": find_database_url(), "REDIS_URL": url} | variables
            address, launched = stack.enter_context(launch_server(**settings))
            fleet.servers.append(Served(int(address.rpartition(":")[2]), launched, line))
        yield fleet


def stop_redis(redis: RedisServer) -> None:
    if redis.process.poll() is None:
        redis.process.send_signal(signal.SIGCONT)
    redis.stop()
