from django.apps import AppConfig

from config.logs import start_listener
from config.metrics import WATCHED, start_ledger
from config.pools import read_pools


class ConfigConfig(AppConfig):
    """Loaded once in each process, web worker or command, after its fork."""

    name = "config"
    verbose_name = "Tenfold"

    def ready(self) -> None:
        from config import checks  # noqa: F401 (registers them)

        WATCHED.append(read_pools)
        start_listener()
        start_ledger()
