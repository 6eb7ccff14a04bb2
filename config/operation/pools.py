"""Figures of this process's connection pools (DATABASE_POOL), for /metrics."""

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper

from config.metrics import Gauges, count


def read_pools() -> Gauges:
    """The gauges of each pool. Also counts the pool's events since the last call."""
    gauges: Gauges = {}
    pools: dict[str, Any] = DatabaseWrapper._connection_pools  # type: ignore[attr-defined]  # the stubs don't know it
    for database, pool in list(pools.items()):
        figures = pool.pop_stats()
        count("pool_requests", database, amount=figures.get("requests_num", 0))
        count("pool_wait_seconds", database, amount=figures.get("requests_wait_ms", 0) / 1000)
        count("pool_failures", database, amount=figures.get("requests_errors", 0))
        gauges["pool_connections", database] = figures["pool_size"]
        gauges["pool_connections_free", database] = figures["pool_available"]
        gauges["pool_waiting", database] = figures["requests_waiting"]
    return gauges
