"""An address in, figures of one round out, by wrk; what is missing on this machine is said with how to get it."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.services import missing_binaries

PACKAGES = {
    "initdb": "postgresql",
    "pgbench": "postgresql",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "wrk": "wrk",
}

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class LoadFailed(Exception):
    """A round with refusals or broken connections; its figures would mean nothing."""


class TooSlow(LoadFailed):
    """Not one answer in the round."""


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    median_ms: float
    # The time that one answer of a hundred takes at least; pgbench doesn't tell.
    tail_ms: float = 0.0

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def list_missing(peers: Path) -> list[str]:
    """A sentence for each thing that the benchmark needs and can't find."""
    missing = missing_binaries() + [name for name in ("wrk", "pgbench") if not shutil.which(name)]
    packages = sorted({PACKAGES[name] for name in missing})
    sentences = [f"{', '.join(missing)} not found: apt-get install {' '.join(packages)} (Debian)"] if missing else []
    return sentences + ([] if peers.exists() else ["the peers aren't installed: make bench does it"])


def run_wrk(url: str, seconds: float, connections: int, headers: Mapping[str, str]) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    output = subprocess.run([*command, url], check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    return read_output(output)


def run_pgbench(database: str, script: Path, seconds: float, connections: int) -> Load:
    """The statement of a page and nothing else, prepared, over and over."""
    whole = max(1, round(seconds))
    command = ["pgbench", "-n", "-M", "prepared", f"-c{connections}", "-j1", f"-T{whole}", "-f", str(script), database]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    done, latency = re.search(r"actually processed: (\d+)", output), re.search(r"latency average = ([\d.]+) ms", output)
    if not done or not latency:
        raise TooSlow("no statement was answered in time")
    return Load(int(done[1]), whole, float(latency[1]))


def write_script(sql: str) -> str:
    """SQL as pgbench takes it: `:MI` within a literal would be a variable of its own."""
    return re.sub(r"(?<!:):(?=\w)", ":' || '", sql) + ";\n"


def read_output(text: str) -> Load:
    if fault := re.search(r"(Non-2xx.*|Socket errors.*)", text):
        raise LoadFailed(fault[1])
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    median, tail = (re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)", text) for share in (50, 99))
    if not done or not median or not tail or done[1] == "0":
        raise TooSlow("no request was answered in time")
    middle, late = (float(found[1]) * UNITS[found[2]] for found in (median, tail))
    return Load(int(done[1]), float(done[2]) * UNITS[done[3]] / 1000, middle, late)
