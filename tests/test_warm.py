"""A fork of the warm process is what a start of Python would be."""

import json
import signal
from pathlib import Path

import pytest

from tests.launching import FORKS, run_command

pytestmark = [pytest.mark.slow, pytest.mark.once]

TELL = """
import json, os, signal, sys, threading
from django.conf import settings
told = {
    "arguments": sys.argv, "name": __name__, "asked": os.environ["ASKED"], "folder": os.getcwd(),
    "files": sorted(os.listdir("/proc/self/fd")), "threads": threading.active_count(), "read": settings.configured,
    "interrupt": str(signal.getsignal(signal.SIGINT)), "inherited": "LEFT_OUT" in os.environ,
}
print(json.dumps(told))
print("to the end", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture(params=[False, True], ids=["started", "forked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORKS, "in use", request.param)


def test_its_arguments_environment_files_and_end_are_its_own(way: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEFT_OUT", "of a test's environment")
    done = run_command("-c", TELL, "tea", ASKED="yes")
    assert (done.returncode, done.stderr) == (3, "to the end\n")
    assert json.loads(done.stdout) == {
        "arguments": ["-c", "tea"], "name": "__main__", "asked": "yes", "folder": str(Path.cwd()),
        "files": ["0", "1", "2", "3"], "threads": 1, "read": False, "interrupt": str(signal.getsignal(signal.SIGINT)),
        "inherited": False,
    }  # fmt: skip
