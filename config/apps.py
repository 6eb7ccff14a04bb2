import gc

from django.apps import AppConfig

from config.logs import start_listener
from config.metrics import Family, register_events, register_process_gauges, start_ledger
from config.operation.pools import read_pools
from config.telemetry.process import start_telemetry


class ConfigConfig(AppConfig):
    """Loaded once in each process (web worker or command), after its fork."""

    name = "config"
    verbose_name = "Tenfold"

    def ready(self) -> None:
        from config.api.admin.dashboard import register_dashboard
        from config.operation import checks  # noqa: F401 (registers them)
        from config.operation.dashboard import list_items

        register_dashboard(list_items)

        of_pools = ("database",)
        register_process_gauges(
            read_pools,
            {
                "pool_connections": Family("Connections that DATABASE_POOL holds.", of_pools),
                "pool_connections_free": Family("Connections of DATABASE_POOL that are free.", of_pools),
                "pool_waiting": Family("Requests that wait for a connection.", of_pools),
            },
        )
        register_events(
            {
                "log_lines_dropped": Family("Log lines that were lost: too many waited, or the disk was full."),
                "slow_readers": Family("Connections that were cut because their clients didn't read."),
                "pool_requests": Family("Requests for a connection of DATABASE_POOL.", of_pools),
                "pool_wait_seconds": Family("Time that requests waited for a connection of DATABASE_POOL.", of_pools),
                "pool_failures": Family("Requests that got no connection within DATABASE_POOL_TIMEOUT.", of_pools),
            }
        )
        start_listener()
        start_ledger()
        start_telemetry()
        collect_garbage()


def collect_garbage() -> None:
    """Search for garbage from now on, but not among what was loaded: it stays until the process ends."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
