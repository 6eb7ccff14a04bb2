"""The queue, the listener and the JSON line: nothing above INFO is lost, and nothing at all at exit."""

import io
import json
import logging
import queue
import subprocess
import sys
from collections.abc import Iterator

import pytest

from config import logs
from config.logs import CountingQueueHandler, LineFormatter
from tests.launching import PATIENCE, ROOT, build_environment


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> CountingQueueHandler:
    """A handler whose queue takes two records, with nobody reading it."""
    monkeypatch.setattr(logs, "QUEUE_LENGTH", 2)
    monkeypatch.setattr(CountingQueueHandler, "dropped", 0)
    return CountingQueueHandler(queue.Queue())


@pytest.fixture
def logger(handler: CountingQueueHandler) -> Iterator[logging.Logger]:
    logger = logging.Logger("tests")  # in no hierarchy: nobody else hears it
    logger.addHandler(handler)
    yield logger
    handler.close()


def read_messages(handler: CountingQueueHandler) -> list[str]:
    records = handler.queue
    assert isinstance(records, queue.Queue)
    return [records.get_nowait().getMessage() for _ in range(records.qsize())]


def test_a_full_queue_drops_information_and_counts_it(handler: CountingQueueHandler, logger: logging.Logger) -> None:
    for number in range(5):
        logger.info("line %s", number)
    assert read_messages(handler) == ["line 0", "line 1"]
    assert CountingQueueHandler.dropped == 3


def test_a_full_queue_drops_no_warning_and_no_error(handler: CountingQueueHandler, logger: logging.Logger) -> None:
    for number in range(5):
        logger.warning("warning %s", number)
        logger.error("error %s", number)
    assert len(read_messages(handler)) == 10
    assert CountingQueueHandler.dropped == 0


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


def test_an_exit_writes_what_waits() -> None:
    assert run_script("for i in range(1000): logger.info('line %s', i)") == [f"line {i}" for i in range(1000)]


def test_an_exit_by_an_exception_writes_what_waits() -> None:
    messages = run_script("for i in range(1000): logger.info('line %s', i)\nsys.exit(0)")
    assert len(messages) == 1000


def test_a_fork_writes_its_own_lines_once_and_not_its_parents() -> None:
    messages = run_script(
        """
from config.logs import start_listener, stop_listener
for i in range(500): logger.info('parent %s', i)
if (child := os.fork()) == 0:
    start_listener()
    for i in range(500): logger.info('child %s', i)
    stop_listener()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    )
    assert sorted(messages) == sorted(f"{who} {i}" for who in ("parent", "child") for i in range(500))


def test_a_process_of_multiprocessing_writes_what_waits() -> None:
    # What granian's workers are; before Python 3.13 they ran no atexit function.
    messages = run_script(
        """
import multiprocessing
from config.logs import start_listener
def work():
    start_listener()
    for i in range(500): logger.info('line %s', i)
process = multiprocessing.get_context('fork').Process(target=work)
process.start()
process.join()
"""
    )
    assert messages == [f"line {i}" for i in range(500)]
