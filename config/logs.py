"""Log records in, JSON lines out, written by a listener thread so that no request waits for a disk.

The listener's thread doesn't survive a fork and isn't started by dictConfig: each process calls `start_listener`
for itself when its apps are ready, so a web worker after its fork.
"""

import copy
import logging
import logging.handlers
import os
import time
from contextvars import ContextVar
from multiprocessing.util import Finalize
from queue import Queue
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

# 20,000 waiting lines are some 10 MB; past that the disk is slower than the requests.
QUEUE_LENGTH = 20_000


class RequestIdFilter(logging.Filter):
    """Puts the id of the request at hand on each record, in the thread that logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = REQUEST_ID.get()
        return True


class CountingQueueHandler(logging.handlers.QueueHandler):
    """Drops records below WARNING while the queue is full, and counts them in `dropped`; never blocks, never raises.

    The queue itself has no bound: with one, the standard handler prints a traceback per record, and the
    listener's stop() can't put its mark in and loses the tail.
    """

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and self.queue.qsize() >= QUEUE_LENGTH:  # type: ignore[attr-defined]  # queue.Queue has it
            type(self).dropped += 1
        else:
            super().enqueue(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The standard one folds the traceback into the message; the JSON formatter wants it for itself.
        record = copy.copy(record)
        record.message = record.getMessage()
        record.msg, record.args = record.message, None
        return record


class LineFormatter(OrjsonFormatter):
    """One JSON object a record: time, level, logger, message, request_id, then what `extra` gave."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{record.msecs:03.0f}Z"


def build_logging(level: str, style: str) -> dict[str, Any]:
    """Django's LOGGING: every logger feeds one queue, one listener writes it to standard output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "json": {"()": LineFormatter},
            "console": {"format": "{asctime} {levelname:7} {message}", "style": "{", "datefmt": "%H:%M:%S"},
        },
        "handlers": {
            "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": style},
            "queue": {
                "class": "config.logs.CountingQueueHandler",
                "queue": "queue.Queue",
                "handlers": ["stdout"],
                "respect_handler_level": True,
                "filters": ["request_id"],
            },
        },
        "root": {"handlers": ["queue"], "level": level},
        "loggers": {
            # Emptied of Django's own console and mail handlers; refusals are in our request line already.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},
            "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        },
    }


def start_listener() -> None:
    """Start writing, in the process at hand, until its exit; a second call does nothing."""
    handler = find_queue()
    if handler and handler.listener and handler.listener._thread is None:
        handler.listener.start()
        # Not atexit: a process of multiprocessing, as granian's workers are, runs that only since Python 3.13.
        Finalize(None, stop_listener, exitpriority=0)


def stop_listener() -> None:
    """Write out what waits, then stop."""
    handler = find_queue()
    if handler and handler.listener and handler.listener._thread is not None:
        handler.listener.stop()


def find_queue() -> CountingQueueHandler | None:
    handler = logging.getHandlerByName("queue")
    return handler if isinstance(handler, CountingQueueHandler) else None


def hold_stdout() -> None:
    """Before a fork: a line that is half written would be written by both."""
    if stdout := logging.getHandlerByName("stdout"):
        stdout.acquire()


def release_stdout() -> None:
    if stdout := logging.getHandlerByName("stdout"):
        stdout.release()


def forget_listener() -> None:
    """In a fork: the thread is gone, and the lines that waited are the parent's to write."""
    handler = find_queue()
    if handler and handler.listener:
        handler.queue = handler.listener.queue = Queue()
        handler.listener._thread = None


# logging itself gives the child's handlers new locks.
os.register_at_fork(before=hold_stdout, after_in_parent=release_stdout, after_in_child=forget_listener)
