"""Log records and request lines in, JSON lines out. A listener thread writes them, so no request waits for a disk.

A request's line is a plain tuple until the listener formats it. `log_request` takes the request 0.2 microseconds, and
the listener's thread 2.3 more; a record through QueueHandler would take 38.5. While QUEUE_LENGTH lines wait, further
lines and records below WARNING are dropped; a metric and one warning a minute count them.

The listener's thread doesn't survive a fork, and dictConfig doesn't start it. So each process calls `start_listener`
when its apps are ready; a web worker does so after its fork.
"""

import copy
import json
import logging
import logging.handlers
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from multiprocessing.util import Finalize
from queue import Empty, Queue
from typing import Any, Final, NamedTuple

import orjson
from pythonjsonlogger.core import RESERVED_ATTRS, merge_record_extra
from pythonjsonlogger.orjson import OrjsonFormatter

from config.metrics import count, read_count
from config.redaction import redact, show_path

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

# 20,000 waiting lines take about 10 MB. If more wait, the disk is slower than the requests.
QUEUE_LENGTH = 20_000
# Seconds that a request's line may wait for others: a write for each line would wake the thread for each.
GATHER_SECONDS = 0.1
REPORT_SECONDS = 60.0

DROPPED = "log_lines_dropped"


class RequestLine(NamedTuple):
    """The log line of one request. `moment` is a time.time(), `seconds` the request's duration."""

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


# The number of its members. With traces a line also has the two ids of `FindTrace`.
MEMBERS: Final = 12

type PlainLine = tuple[float, str, str, str, str | None, int, float, int, int | None, int | None, str, Any]

_lines: deque[PlainLine] = deque()

# The ids of the trace and of the span that a thread is in; two empty texts outside of spans.
type FindTrace = Callable[[], tuple[str, str]]


class MarkedLines(deque[Any]):
    """Lines that also have the ids of their trace and span."""

    def __init__(self, find_trace: FindTrace) -> None:
        super().__init__()
        self.find_trace = find_trace

    def append(self, line: Any) -> None:
        super().append((*line, *self.find_trace()))


class TraceFilter(logging.Filter):
    """Adds the ids to each record of a span. It runs in the thread that logs."""

    def __init__(self, find_trace: FindTrace) -> None:
        super().__init__()
        self.find_trace = find_trace

    def filter(self, record: logging.LogRecord) -> bool:
        trace_id, span_id = self.find_trace()
        if trace_id:
            record.trace_id, record.span_id = trace_id, span_id
        return True


def mark_lines(find_trace: FindTrace) -> None:
    """Add the ids of traces to lines from now on. Another deque does it, so without traces it costs nothing."""
    global _lines  # noqa: PLW0603 (the lines of this process)
    if not isinstance(_lines, MarkedLines):
        _lines = MarkedLines(find_trace)
        if handler := find_queue():
            handler.addFilter(TraceFilter(find_trace))


def log_request(line: PlainLine) -> None:
    """Queue the line. It is a plain tuple in RequestLine's order: making a RequestLine would take as long again."""
    # A 500 is never dropped. A 503 may be: a flooded server has many.
    if len(_lines) < QUEUE_LENGTH or line[5] == 500:
        _lines.append(line)
    else:
        count(DROPPED)


class RequestIdFilter(logging.Filter):
    """Adds the current request's id to each record. It runs in the thread that logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = REQUEST_ID.get()
        return True


class CountingQueueHandler(logging.handlers.QueueHandler):
    """Drops and counts records below WARNING while QUEUE_LENGTH records wait. It never blocks and never raises.

    The queue itself is unbounded. With a bounded one, the standard handler prints a traceback for each record, and the
    listener's stop() can't queue its mark, so the last records would be lost.
    """

    def enqueue(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING and self.queue.qsize() >= QUEUE_LENGTH:  # type: ignore[attr-defined]  # queue.Queue has it
            count(DROPPED)
        else:
            super().enqueue(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        # The standard method adds the traceback to the message, but the JSON formatter needs it separately.
        record = copy.copy(record)
        record.message = record.getMessage()
        record.msg, record.args = record.message, None
        return record


class LineFormatter(OrjsonFormatter):
    """A JSON object for each record: time, level, logger, message, request_id, then the members of `extra`."""

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
        moment, request_id, method, path, route, status, seconds, queries, rows, size, cache, user_id = line[:MEMBERS]
        path = show_path(path)
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
        marks: tuple[str, ...] = line[MEMBERS:]
        if any(marks):
            values["trace_id"], values["span_id"] = marks
        try:
            return orjson.dumps(values).decode()
        except TypeError:
            return json.dumps(values)  # the path isn't valid Unicode


# Attributes of a record that people needn't read.
NOT_SHOWN = (*RESERVED_ATTRS, "request_id", "trace_id", "span_id")


class ConsoleFormatter(logging.Formatter):
    """For people: `14:03:59 INFO    GET /api/v1/products/ 200 in 1.3 ms`, and `… import import=7 status=ready`."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        # Only the `extra` of our own loggers: a library's may have whole requests.
        is_ours = str(record.name).startswith("tenfold.")
        given = merge_record_extra(record, {}, NOT_SHOWN) if is_ours else {}
        return super().formatMessage(record) + "".join(f" {name}={show_value(value)}" for name, value in given.items())

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def format_request(self, line: PlainLine) -> str:
        found = RequestLine._make(line[:MEMBERS])
        clock = time.strftime("%H:%M:%S", time.localtime(found.moment))
        # Escaped, so that a line break in a path doesn't make a second line.
        path = show_path(found.path).encode("unicode_escape").decode()
        return f"{clock} INFO    {found.method} {path} {found.status} in {found.seconds * 1000:.1f} ms"


def show_value(value: Any) -> str:
    """The value as text; quoted and escaped if it has blanks or unprintable characters."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def format_moment(moment: float) -> str:
    return f"{format_second(int(moment))}.{int(moment % 1 * 1000):03}Z"


@lru_cache(maxsize=4)
def format_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class Output(logging.StreamHandler[Any]):
    """A stream. Failed writes (a full disk, a reader that left) are only counted, so that no request fails."""

    formatter: LineFormatter | ConsoleFormatter

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if isinstance(sys.exception(), OSError):
            count(DROPPED)
        else:
            super().handleError(record)

    def write_requests(self, lines: list[PlainLine]) -> None:
        """Write all lines in one write."""
        text = "".join(f"{self.formatter.format_request(line)}\n" for line in lines)
        with self.lock:  # type: ignore[union-attr]  # every handler has one
            try:
                self.stream.write(text)
                self.flush()
            except (OSError, ValueError):  # ValueError: the stream is closed, or its encoding lacks a character
                count(DROPPED, amount=len(lines))


class Listener(logging.handlers.QueueListener):
    """The thread that writes: records at once, requests' lines ten times a second."""

    handlers: tuple[Output, ...]
    queue: Queue[Any]
    # The number of dropped lines at the last report, and the time of it.
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
        # Earlier lines come first.
        self.write_requests()
        super().handle(record)

    def stop(self) -> None:
        super().stop()
        self.write_requests()
        self.report_dropped(least_seconds=0)

    def report_dropped(self, least_seconds: float = REPORT_SECONDS) -> None:
        """Warn of dropped lines, unless the last warning is younger than `least_seconds`."""
        now = time.monotonic()
        if now - self.reported_at >= least_seconds and (dropped := read_count(DROPPED)) > self.reported:
            sentence = f"{dropped - self.reported:.0f} log lines were dropped: their reader is slower than the requests"
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
    """Django's LOGGING: all loggers write to one queue, and one listener writes it to standard output."""
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
            # Without Django's own console and mail handlers. The request lines already have 4xx answers.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},
            # A forged Host, or too many parameters: it has its request line (400), and scanners send many.
            "django.security": {"level": "CRITICAL"},
            "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        },
    }


def start_listener() -> None:
    """Start writing in this process, until its exit. A second call does nothing."""
    handler = find_queue()
    if handler and handler.listener and handler.listener._thread is None:
        handler.listener.start()
        # Not atexit: processes of multiprocessing, such as granian's workers, run it only since Python 3.13.
        Finalize(None, stop_listener, exitpriority=0)


def stop_listener() -> None:
    """Write all waiting lines, then stop."""
    handler = find_queue()
    if handler and handler.listener and handler.listener._thread is not None:
        handler.listener.stop()


def find_queue() -> CountingQueueHandler | None:
    handler = logging.getHandlerByName("queue")
    return handler if isinstance(handler, CountingQueueHandler) else None


def hold_stdout() -> None:
    """Before a fork: wait until no line is half written, since both processes would write it."""
    if stdout := logging.getHandlerByName("stdout"):
        stdout.acquire()


def release_stdout() -> None:
    if stdout := logging.getHandlerByName("stdout"):
        stdout.release()


def forget_listener() -> None:
    """In a fork: the thread doesn't exist here, and the parent writes the waiting lines."""
    handler = find_queue()
    if handler and handler.listener:
        handler.queue = handler.listener.queue = Queue()
        handler.listener._thread = None
        _lines.clear()


# The module `logging` itself gives the child's handlers new locks.
os.register_at_fork(before=hold_stdout, after_in_parent=release_stdout, after_in_child=forget_listener)
