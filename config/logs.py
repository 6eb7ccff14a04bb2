"""Log records and request lines in, JSON lines out, written by a listener thread so that no request waits for a disk.

A request's line is a plain tuple until the listener formats it: `log_request` costs 0.2 microseconds and the line as
a whole 2.5, of which the listener's thread pays the rest (a record through QueueHandler 38.5). Lines and records below
WARNING are dropped while QUEUE_LENGTH of them wait; what is dropped is a metric, and a warning a minute.

The listener's thread doesn't survive a fork and isn't started by dictConfig: each process calls `start_listener`
for itself when its apps are ready, so a web worker after its fork.
"""

import copy
import json
import logging
import logging.handlers
import os
import re
import sys
import time
from collections import deque
from contextvars import ContextVar
from functools import lru_cache
from multiprocessing.util import Finalize
from queue import Empty, Queue
from typing import Any, NamedTuple

import orjson
from pythonjsonlogger.core import RESERVED_ATTRS, merge_record_extra
from pythonjsonlogger.orjson import OrjsonFormatter

from config.metrics import count, read_count

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

# 20,000 waiting lines are some 10 MB; past that the disk is slower than the requests.
QUEUE_LENGTH = 20_000
# How long a request's line may wait for others: a write for each would wake the thread for each.
GATHER_SECONDS = 0.1
REPORT_SECONDS = 60.0

DROPPED = "log_lines_dropped"


class RequestLine(NamedTuple):
    """What the log says of one request; `moment` and `seconds` as time.time() and perf_counter() have them."""

    moment: float
    request_id: str
    method: str
    path: str
    route: str | None
    status: int
    seconds: float
    queries: int
    rows: int | None
    size: int | None
    cache: str
    user_id: Any


type PlainLine = tuple[float, str, str, str, str | None, int, float, int, int | None, int | None, str, Any]

_lines: deque[PlainLine] = deque()


def log_request(line: PlainLine) -> None:
    """The values of a RequestLine, in its order; making one of that class would cost as much again."""
    # A fault of ours is never dropped; a refusal (503) is what there is plenty of when a server is flooded.
    if len(_lines) < QUEUE_LENGTH or line[5] == 500:
        _lines.append(line)
    else:
        count(DROPPED)


# -- secrets ------------------------------------------------------------------------------------------------------

# A word that announces one, what stands between (`=`, `: `, `": "`), and the secret itself; a scheme of HTTP's
# Authorization; a password in a URL. None of them takes a quote or a backslash, so JSON stays JSON.
SECRETS = re.compile(
    r"""(?ix)
    (\bcookie(?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)[^"'\\\n]+
    |(\b(?:password|passwd|secret|secret_key|token|api_?key|authorization|sessionid|csrftoken
        |signature|sig|x-amz-signature|x-amz-credential|x-amz-security-token)\b
        (?:\\?["'])?\s*[=:]\s*(?:\\?["'])?(?:(?:token|bearer|basic)\s+)?)
        [^\s"'\\,;&)}\]]+
    |(\b(?:token|bearer|basic)\s+)[\w.~+/=-]{16,}
    |(\b[a-z][a-z0-9+.-]*://[^\s:/@"'\\]*:)[^\s@"'\\/]+(?=@)
    """
)


def redact(text: str) -> str:
    """`text` with `***` for tokens, cookies, passwords and signatures."""
    return SECRETS.sub(lambda found: f"{found[1] or found[2] or found[3] or found[4]}***", text)


# -- records ------------------------------------------------------------------------------------------------------


class RequestIdFilter(logging.Filter):
    """Puts the id of the request at hand on each record, in the thread that logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = REQUEST_ID.get()
        return True


class CountingQueueHandler(logging.handlers.QueueHandler):
    """Drops records below WARNING while the queue is full, and counts them; never blocks, never raises.

    The queue itself has no bound: with one, the standard handler prints a traceback per record, and the
    listener's stop() can't put its mark in and loses the tail.
    """

    def enqueue(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and self.queue.qsize() >= QUEUE_LENGTH:  # type: ignore[attr-defined]  # queue.Queue has it
            count(DROPPED)
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
        return format_moment(record.created)

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def format_request(self, line: PlainLine) -> str:
        moment, request_id, method, path, route, status, seconds, queries, rows, size, cache, user_id = line
        values = {
            "time": format_moment(moment),
            "level": "INFO",
            "logger": "tenfold.request",
            "message": f"{method} {path} {status}",
            "request_id": request_id,
            "method": method,
            "path": path,
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            "queries": queries,
            "rows": rows,
            "bytes": size,
            "cache": cache,
            "user_id": user_id,
        }
        try:
            return orjson.dumps(values).decode()
        except TypeError:
            return json.dumps(values)  # a path that is no Unicode


class ConsoleFormatter(logging.Formatter):
    """For people: `14:03:59 INFO    GET /api/v1/products/ 200 in 1.3 ms`, and `… import import=7 status=ready`."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        # What our own lines give; a library's may hold whole requests.
        is_ours = str(record.name).startswith("tenfold.")
        given = merge_record_extra(record, {}, (*RESERVED_ATTRS, "request_id")) if is_ours else {}
        return super().formatMessage(record) + "".join(f" {name}={show_value(value)}" for name, value in given.items())

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def format_request(self, line: PlainLine) -> str:
        found = RequestLine._make(line)
        clock = time.strftime("%H:%M:%S", time.localtime(found.moment))
        # Escaped: a line break in a path would be a line of its own.
        path = found.path.encode("unicode_escape").decode()
        return f"{clock} INFO    {found.method} {path} {found.status} in {found.seconds * 1000:.1f} ms"


def show_value(value: Any) -> str:
    """As it is where that can't be mistaken, and in quotes with its line breaks escaped where it can."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def format_moment(moment: float) -> str:
    return f"{format_second(int(moment))}.{int(moment % 1 * 1000):03}Z"


@lru_cache(maxsize=4)
def format_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class Output(logging.StreamHandler[Any]):
    """A stream; what it can't take (a full disk, a reader that left) is counted, and nobody's request fails for it."""

    formatter: LineFormatter | ConsoleFormatter

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if isinstance(sys.exception(), OSError):
            count(DROPPED)
        else:
            super().handleError(record)

    def write_requests(self, lines: list[PlainLine]) -> None:
        """All of them in one write."""
        text = "".join(f"{self.formatter.format_request(line)}\n" for line in lines)
        with self.lock:  # type: ignore[union-attr]  # every handler has one
            try:
                self.stream.write(text)
                self.flush()
            except OSError:
                count(DROPPED, amount=len(lines))


class Listener(logging.handlers.QueueListener):
    """The thread that writes: records as they come, requests' lines ten times a second."""

    handlers: tuple[Output, ...]
    queue: Queue[Any]
    # How many of this process's lines were dropped when it was last reported, and when.
    reported, reported_at = 0.0, 0.0

    def dequeue(self, block: bool) -> logging.LogRecord:
        while True:
            try:
                record: logging.LogRecord = self.queue.get(block, GATHER_SECONDS)
            except Empty:
                self.write_requests()
                self.report_dropped()
            else:
                return record

    def handle(self, record: logging.LogRecord) -> None:
        # What came before it stands before it.
        self.write_requests()
        super().handle(record)

    def stop(self) -> None:
        super().stop()
        self.write_requests()
        self.report_dropped(least_seconds=0)

    def report_dropped(self, least_seconds: float = REPORT_SECONDS) -> None:
        """A warning, unless the last one is younger than `least_seconds`."""
        now = time.monotonic()
        if now - self.reported_at >= least_seconds and (dropped := read_count(DROPPED)) > self.reported:
            sentence = (
                f"{dropped - self.reported:.0f} log lines were dropped: what reads them is slower than the requests"
            )
            self.reported, self.reported_at = dropped, now
            self.handle(
                logging.makeLogRecord(
                    {
                        "name": "tenfold.log",
                        "msg": sentence,
                        "levelno": logging.WARNING,
                        "levelname": "WARNING",
                        "request_id": "",
                    }
                )
            )

    def write_requests(self) -> None:
        if lines := [_lines.popleft() for _ in range(len(_lines))]:
            for output in self.handlers:
                output.write_requests(lines)


def build_logging(level: str, style: str) -> dict[str, Any]:
    """Django's LOGGING: every logger feeds one queue, one listener writes it to standard output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "json": {"()": LineFormatter},
            "console": {"()": ConsoleFormatter},
        },
        "handlers": {
            "stdout": {"class": "config.logs.Output", "stream": "ext://sys.stdout", "formatter": style},
            "queue": {
                "class": "config.logs.CountingQueueHandler",
                "queue": "queue.Queue",
                "listener": "config.logs.Listener",
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
            # A forged Host is refused and has its request's line; scanners send them all night.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
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
        _lines.clear()


# logging itself gives the child's handlers new locks.
os.register_at_fork(before=hold_stdout, after_in_parent=release_stdout, after_in_child=forget_listener)
