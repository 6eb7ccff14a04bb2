"""What processes count: of each thread, of each process, of the killed ones too, once and no more."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from config import metrics
from config.metrics import FIRST_BUCKET, Figures, Ledger, count, count_request, read_everybody
from tests.launching import PATIENCE, ROOT, build_environment


@pytest.fixture(autouse=True)
def no_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "TABLES", metrics.Tables())
    monkeypatch.setattr(metrics, "OWN", metrics.Own())
    monkeypatch.setattr(metrics, "LEDGER", None)
    # A pool that another test opened counts too, when it is asked.
    monkeypatch.setattr(metrics, "WATCHED", [])


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """This process's, laid down by hand."""
    ledger = Ledger(tmp_path)
    monkeypatch.setattr(metrics, "LEDGER", ledger)
    yield ledger
    ledger.close()


def read_events() -> dict[str, float]:
    return {str(key[0]): row[0] for key, row in read_everybody().counts.items()}


def test_a_request_is_counted_with_its_time_and_its_queries() -> None:
    for seconds in (0.0009, 0.001, 0.0011, 60.0):
        count_request("GET", "products/$", 200, "hit", seconds, 2, 0.0005)
    [(key, row)] = read_everybody().counts.items()
    assert key == ("request", "GET", "products/$", 200, "hit")
    assert row[:FIRST_BUCKET] == pytest.approx([60.003, 8, 0.002])
    # Bounds belong to their bucket: 1 ms counts as at most 1 ms; the last bucket has none.
    filled = {index: number for index, number in enumerate(row[FIRST_BUCKET:]) if number}
    assert filled == {3: 2, 4: 1, 16: 1}


def test_an_invented_method_gets_no_metric_of_its_own() -> None:
    for number in range(5):
        count_request(f"FORGED{number}", "products/$", 405, "bypass", 0.1, 0, 0)
    assert [key[1] for key in read_everybody().counts] == ["OTHER"]


def test_no_count_is_lost_between_threads_or_when_one_ends() -> None:
    def work() -> None:
        for _ in range(20_000):
            count("worked")

    for _ in range(2):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read_events() == {"worked": 160_000}
    read_everybody()
    assert len(metrics.TABLES.living) <= 1, "a table is kept for a thread that ended"


# -- several processes --------------------------------------------------------------------------------------------

WORK = """
import sys, time
from config import metrics
metrics.WRITE_SECONDS = 0.05
metrics.WATCHED.append(lambda: {("busy",): 1.0})
metrics.start_ledger()
metrics.count("worked", amount=float(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def run_worker(folder: Path, number: int) -> Iterator[subprocess.Popen[Any]]:
    """A process that has counted `number`, until its input ends."""
    environment = build_environment(METRICS_FOLDER=str(folder))
    command = [sys.executable, "-c", WORK, str(number)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        yield process
        if process.poll() is None:
            process.kill()


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, read_everybody()
        time.sleep(0.02)  # a poll of another process's file; nothing tells us


def test_all_processes_are_added_up_the_killed_ones_too(ledger: Ledger, tmp_path: Path) -> None:
    count("worked", amount=1)
    with run_worker(tmp_path, 10) as first, run_worker(tmp_path, 100):
        wait_until(lambda: read_events()["worked"] == 111)
        assert read_everybody().processes == 3
        assert read_everybody().gauges == {("busy",): 2}
        first.send_signal(signal.SIGKILL)
        first.wait()
        # What it did stays done; what it was doing is over.
        assert read_events()["worked"] == 111
        assert read_everybody().processes == 2
        assert read_everybody().gauges == {("busy",): 1}


def test_a_new_process_takes_over_what_dead_ones_left(ledger: Ledger, tmp_path: Path) -> None:
    with run_worker(tmp_path, 10) as first:
        wait_until(lambda: read_events().get("worked") == 10)
        first.kill()
    with run_worker(tmp_path, 100):
        wait_until(lambda: read_events()["worked"] == 110)
        assert len(list(tmp_path.glob("*.json"))) == 1, "the dead one's file stays for ever"


def test_an_exit_writes_the_last_figures(ledger: Ledger, tmp_path: Path) -> None:
    with run_worker(tmp_path, 10) as first:
        first.communicate("", timeout=PATIENCE)
    assert read_events() == {"worked": 10}


def test_a_fork_counts_for_itself(ledger: Ledger, tmp_path: Path) -> None:
    script = (
        WORK.replace("sys.stdin.read()", "")
        + """
import os
if (child := os.fork()) == 0:
    metrics.count("worked", amount=5)
    metrics.start_ledger()
    metrics.close_ledger()
    os._exit(0)
os.waitpid(child, 0)
"""
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, "100"]
    environment = build_environment(METRICS_FOLDER=str(tmp_path))
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=PATIENCE, capture_output=True)
    assert read_events() == {"worked": 105}


def test_a_full_disk_keeps_the_figures_before(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count("worked")
    ledger.write()

    def refuse(*args: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", refuse)
        count("worked")
        ledger.write()
    assert Figures.load(ledger.path.read_bytes()).counts == {("worked",): [1.0]}
    assert read_events() == {"worked": 2}


def test_a_server_s_folder_is_its_own_and_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METRICS_FOLDER", raising=False)
    with metrics.open_folder():
        folder = Path(os.environ["METRICS_FOLDER"])
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert "METRICS_FOLDER" not in os.environ


def test_a_folder_that_is_named_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_FOLDER", str(tmp_path / "new"))
    with metrics.open_folder():
        pass
    assert (tmp_path / "new").is_dir()
