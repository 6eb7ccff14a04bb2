"""Starts and ends what the settings ask for, in this process. `settings.TELEMETRY` names the modules."""

from importlib import import_module
from multiprocessing.util import Finalize
from threading import Thread

from django.conf import settings

# Seconds that the end of a process waits until what is left was sent. A receiver may be away, or hang.
FLUSH_SECONDS = 2.0


def start_telemetry() -> None:
    """Call it once in each process, also in a fork: threads don't survive one, and connections must not be shared."""
    for name in settings.TELEMETRY:
        import_module(name).begin()
    if settings.TELEMETRY:
        Finalize(None, flush_telemetry, exitpriority=1)


def flush_telemetry() -> None:
    """Send what waits, within FLUSH_SECONDS, whatever the receivers do."""
    # The packages' own time limits hold for each request, not for all that wait.
    threads = [Thread(target=import_module(name).flush, daemon=True) for name in settings.TELEMETRY]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FLUSH_SECONDS)
