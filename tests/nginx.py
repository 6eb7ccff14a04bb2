"""Starts nginx with our shipped configuration, on a free port, in front of servers of the tests."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.launching import ROOT
from tests.services import free_port, stop_process, wait_for_port

FILE = ROOT / "config" / "nginx.conf"


def write_configuration(folder: Path, port: int, servers: list[int]) -> Path:
    """The shipped file with other addresses, and no other changes."""
    text = FILE.read_text()
    named = "".join(f"server 127.0.0.1:{server} max_fails=0;\n" for server in servers)
    for old, new in (
        ("server 127.0.0.1:8000 max_fails=0;\n", named),
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("pid /run/tenfold-nginx.pid;", f"pid {folder}/pid;"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    return folder / "nginx.conf"


@contextmanager
def run_nginx(*servers: int) -> Iterator[int]:
    """Run nginx during the block. Yields its port."""
    folder, port = Path(tempfile.mkdtemp(prefix="tenfold-nginx-")), free_port()
    command = ["nginx", "-c", str(write_configuration(folder, port, list(servers))), "-g", "daemon off;"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        wait_for_port(port)
        yield port
    finally:
        stop_process(process, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)
