"""What it costs to be watched: our server without log lines and metrics, and with a disk that is slow to take lines.

`python -m tests.benchmarks.watching silent` serves and neither logs nor counts; `… plain` writes each line where the
request is answered, as a plain StreamHandler does.
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from config import logs, metrics, server

SILENT, PLAIN = "silent", "plain"

# A disk that takes 130 lines a second; a page of 50 writes some hundreds.
SLOW_BYTES, SLOW_SECONDS = 4_096, 0.1


class SlowPipe:
    """A FIFO whose reader takes its time; `writer` is for a server's standard output."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.writer = path.open("ab", buffering=0)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        while not self.done.wait(SLOW_SECONDS):
            with suppress(BlockingIOError):  # nothing was written meanwhile
                os.read(self.reader, SLOW_BYTES)

    def close(self) -> None:
        """Whoever still writes finds the pipe broken, and needn't wait."""
        self.done.set()
        self.thread.join()
        os.close(self.reader)
        self.writer.close()


def say_nothing(*values: Any) -> None:
    return


def write_at_once(formatter: logs.LineFormatter) -> Callable[[logs.PlainLine], None]:
    def write(line: logs.PlainLine) -> None:
        with lock:
            sys.stdout.write(formatter.format_request(line) + "\n")
            sys.stdout.flush()

    lock = threading.Lock()
    return write


def main(variant: str) -> None:
    """Before the apps are loaded, which the web workers do: they import what stands here by then."""
    if variant == SILENT:
        metrics.count_request = say_nothing  # type: ignore[assignment]
        metrics.start_ledger = say_nothing
        logs.log_request = say_nothing  # type: ignore[assignment]
    else:
        logs.log_request = write_at_once(logs.LineFormatter())  # type: ignore[assignment]
    server.main([])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main(sys.argv[1])
