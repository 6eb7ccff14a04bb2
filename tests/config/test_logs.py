"""The queue, the listener and the JSON line: nothing above INFO is lost, and nothing at all at exit."""

import errno
import io
import json
import logging
import queue
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import pytest

from config import logs, metrics
from config.logs import (
    DROPPED,
    ConsoleFormatter,
    CountingQueueHandler,
    LineFormatter,
    Listener,
    Output,
    PlainLine,
    log_request,
)
from tests.launching import PATIENCE, ROOT, build_environment


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> CountingQueueHandler:
    """A handler whose queue takes two records, with nobody reading it."""
    monkeypatch.setattr(logs, "QUEUE_LENGTH", 2)
    return CountingQueueHandler(queue.Queue())


@pytest.fixture
def logger(handler: CountingQueueHandler) -> Iterator[logging.Logger]:
    logger = logging.Logger("tests")  # in no hierarchy: nobody else hears it
    logger.addHandler(handler)
    yield logger
    handler.close()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[deque[PlainLine]]:
    """Requests' lines that nobody writes: the listener of the tests' own process rests."""
    own: Any = logging.getHandlerByName("queue")
    own.listener.stop()
    waiting: deque[PlainLine] = deque()
    monkeypatch.setattr(logs, "_lines", waiting)
    yield waiting
    # The listener begins before its own deque is back, and its stream may be an earlier test's, closed by now.
    waiting.clear()
    own.listener.start()


@pytest.fixture(autouse=True)
def no_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "TABLES", metrics.Tables())
    monkeypatch.setattr(metrics, "OWN", metrics.Own())


def read_messages(handler: CountingQueueHandler) -> list[str]:
    records = handler.queue
    assert isinstance(records, queue.Queue)
    return [records.get_nowait().getMessage() for _ in range(records.qsize())]


def make_line(status: int = 200, path: str = "/api/v1/products/", seconds: float = 0.0042) -> PlainLine:
    return (1_700_000_000.25, "a-1", "GET", path, "api/v1/products/$", status, seconds, 1, 50, 45_000, "miss", 7)


def open_output(stream: IO[str], formatter: LineFormatter | ConsoleFormatter) -> Output:
    output = Output(stream)
    output.setFormatter(formatter)
    return output


def test_a_full_queue_drops_information_and_counts_it(handler: CountingQueueHandler, logger: logging.Logger) -> None:
    for number in range(5):
        logger.info("line %s", number)
    assert read_messages(handler) == ["line 0", "line 1"]
    assert metrics.read_count(DROPPED) == 3


def test_a_full_queue_drops_no_warning_and_no_error(handler: CountingQueueHandler, logger: logging.Logger) -> None:
    for number in range(5):
        logger.warning("warning %s", number)
        logger.error("error %s", number)
    assert len(read_messages(handler)) == 10
    assert metrics.read_count(DROPPED) == 0


def test_request_lines_past_the_bound_are_dropped_except_errors(
    handler: CountingQueueHandler, waiting: deque[PlainLine]
) -> None:
    for status in (200, 404, 200, 503, 500):
        log_request(make_line(status))
    assert [line[5] for line in waiting] == [200, 404, 500]
    assert metrics.read_count(DROPPED) == 2


def test_a_request_s_line_is_one_json_object(waiting: deque[PlainLine]) -> None:
    stream = io.StringIO()
    open_output(stream, LineFormatter()).write_requests([make_line(), make_line(path="/a\nb/\udcff")])
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": "tenfold.request",
        "message": "GET /api/v1/products/ 200",
        "request_id": "a-1",
        "method": "GET",
        "path": "/api/v1/products/",
        "route": "api/v1/products/$",
        "status": 200,
        "duration_ms": 4.2,
        "queries": 1,
        "rows": 50,
        "bytes": 45_000,
        "cache": "miss",
        "user_id": 7,
    }
    assert second["path"] == "/a\nb/\udcff"


def test_a_line_for_people_is_one_line() -> None:
    stream = io.StringIO()
    open_output(stream, ConsoleFormatter()).write_requests([make_line(path="/a\nERROR forged")])
    assert re.fullmatch(r"\d\d:13:20 INFO    GET /a\\nERROR forged 200 in 4.2 ms\n", stream.getvalue())


def test_a_line_for_people_has_the_result_of_a_job() -> None:
    record = logging.makeLogRecord(
        {"name": "tenfold.imports", "levelname": "INFO", "msg": "import", "import": 7, "reason": "a\nERROR forged"}
    )
    record.request_id = "a-1"
    line = ConsoleFormatter().format(record)
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    import import=7 reason='a\\nERROR forged'", line)
    record.name = "django.request"
    assert ConsoleFormatter().format(record).endswith("import")


def test_a_listener_writes_requests_and_records_in_their_order(waiting: deque[PlainLine]) -> None:
    stream = io.StringIO()
    listener = Listener(queue.Queue(), open_output(stream, LineFormatter()))
    log_request(make_line())
    listener.queue.put(logging.makeLogRecord({"msg": "later", "request_id": "a-2"}))
    listener.start()
    listener.stop()
    assert [json.loads(line)["request_id"] for line in stream.getvalue().splitlines()] == ["a-1", "a-2"]


def test_dropped_lines_are_reported_once_a_minute(handler: CountingQueueHandler, waiting: deque[PlainLine]) -> None:
    stream, moments = io.StringIO(), iter([100.0, 130.0, 161.0])
    listener = Listener(queue.Queue(), open_output(stream, LineFormatter()))
    # Taken back before the process's own listener goes on, which looks at the clock too.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("config.logs.time.monotonic", lambda: next(moments))
        for _ in range(3):
            metrics.count(DROPPED, amount=5)
            listener.report_dropped()
    said = [
        json.loads(line)["message"].partition(" log lines were dropped")[0] for line in stream.getvalue().splitlines()
    ]
    assert said == ["5", "10"]


@pytest.mark.parametrize("stream", [io.TextIOWrapper(io.BytesIO(), "ascii"), io.StringIO()])
def test_the_listener_outlives_a_stream_that_takes_no_line(stream: IO[str], waiting: deque[PlainLine]) -> None:
    if isinstance(stream, io.StringIO):
        stream.close()
    listener = Listener(queue.Queue(), open_output(stream, LineFormatter()))
    log_request(make_line(path="/é/"))
    listener.start()
    listener.stop()
    assert (list(waiting), metrics.read_count(DROPPED)) == ([], 1)


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_loses_lines_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    output = open_output(FullDisk(), LineFormatter())
    output.write_requests([make_line()] * 3)
    output.handle(logging.makeLogRecord({"msg": "a record", "request_id": ""}))
    assert metrics.read_count(DROPPED) == 4
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("formatter", [LineFormatter(), ConsoleFormatter()], ids=["json", "console"])
def test_no_formatter_writes_a_secret(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("Token 0123456789abcdef0123 is wrong")
    except ValueError:
        values = {"msg": "cookie=0123456789abcdef", "exc_info": sys.exc_info(), "request_id": ""}
    assert "0123456789" not in formatter.format(logging.makeLogRecord(values))


@pytest.mark.parametrize("formatter", [LineFormatter(), ConsoleFormatter()], ids=["json", "console"])
def test_no_request_line_has_a_feed_s_secret(formatter: Any) -> None:
    line = formatter.format_request(make_line(path=f"/shop/api/v1/feeds/7/{'x' * 32}/products.csv"))
    assert "x" * 32 not in line
    assert "/shop/api/v1/feeds/7/***/products.csv" in line


def test_a_traceback_is_a_field_of_its_own(handler: CountingQueueHandler, logger: logging.Logger) -> None:
    stream = io.StringIO()
    writer = logging.StreamHandler(stream)
    writer.setFormatter(LineFormatter())
    try:
        raise ValueError("out of tea")
    except ValueError:
        logger.exception("Failed for %s", "everybody", extra={"status": 500})
    assert isinstance(handler.queue, queue.Queue)
    writer.handle(handler.queue.get_nowait())
    line = json.loads(stream.getvalue())
    assert line["message"] == "Failed for everybody"
    assert line["level"] == "ERROR"
    assert line["status"] == 500
    assert "ValueError: out of tea" in line["exc_info"]


# -- whole processes --------------------------------------------------------------------------------------------


def run_script(script: str) -> list[str]:
    """The messages that a process of its own wrote, in their order."""
    begin = "import logging, os, sys, django; django.setup(); logger = logging.getLogger('tenfold.test')\n"
    # Python warns of any fork of a process with threads; that such a fork works is what is tested here.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", begin + script]
    environment = build_environment(DJANGO_SETTINGS_MODULE="config.settings")
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stderr == ""
    return [json.loads(line)["message"] for line in done.stdout.splitlines()]


# Where the application is loaded, too, as `manage.py runserver` does: a command's log is left alone.
@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "sys.exit(0)"], ids=["its last line", "an exception"])
def test_an_exit_writes_the_lines_and_requests_that_wait(end: str) -> None:
    messages = run_script(
        f"""
import config.wsgi
from config.logs import log_request
for i in range(1000):
    logger.info("line %s", i)
    log_request((0.0, str(i), "GET", f"/{{i}}", None, 200, 0.0, 0, None, None, "bypass", None))
{end}
"""
    )
    for start in ("line ", "GET /"):
        wanted = [f"{start}{i}{' 200' if start == 'GET /' else ''}" for i in range(1000)]
        assert [message for message in messages if message.startswith(start)] == wanted
    assert len(messages) == 2000


@pytest.mark.slow
def test_a_fork_writes_its_own_lines_once_and_not_its_parents_also_in_multiprocessing() -> None:
    messages = run_script(
        """
import multiprocessing
from config.logs import start_listener, stop_listener
for i in range(500): logger.info('parent %s', i)
if (child := os.fork()) == 0:
    start_listener()
    for i in range(500): logger.info('child %s', i)
    stop_listener()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
# What granian's workers are; before Python 3.13 they ran no atexit function.
def work():
    start_listener()
    for i in range(500): logger.info('worker %s', i)
process = multiprocessing.get_context('fork').Process(target=work)
process.start()
process.join()
"""
    )
    assert sorted(messages) == sorted(f"{who} {i}" for who in ("parent", "child", "worker") for i in range(500))
