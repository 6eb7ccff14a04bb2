"""Samples and figures in; tables for people, JSON for programs out."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.contestants import Contestant
from tests.benchmarks.figures import Figure, Spread
from tests.benchmarks.measure import Sample, Samples

PROMISED_ROWS = 1_000_000

UNITS = ("rate", "median_ms", "server_ms", "postgres_ms")


def spread(samples: Sequence[Sample], unit: str) -> Spread:
    return Spread.of(getattr(sample, unit) for sample in samples)


def write_number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write_spread(value: Spread) -> str:
    if value.least == value.most:
        return write_number(value.median)
    return f"{write_number(value.median)} ({write_number(value.least)}-{write_number(value.most)})"


def print_contestants(console: Console, contestants: Sequence[Contestant], samples: Samples, title: str) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("contestant")
    for head in ("requests/s", "answer, ms", "server CPU, ms", "PostgreSQL CPU, ms", "ours is"):
        table.add_column(head, justify="right")
    for contestant in contestants:
        mine = samples[contestant.name]
        pairs = zip(samples["tenfold"], mine, strict=True)
        times = Spread.of(ours.rate / theirs.rate for ours, theirs in pairs)
        cells = [write_spread(spread(mine, unit)) for unit in UNITS]
        table.add_row(f"{contestant.name}\n[dim]{contestant.note}[/dim]", *cells, f"x {write_number(times.median)}")
    console.print(table)


def print_others(console: Console, names: Sequence[str], samples: Samples) -> None:
    table = Table(title="Ours, one thing changed at a time", title_justify="left")
    table.add_column("target")
    for head in ("requests/s", "answer, ms", "server CPU, ms", "PostgreSQL CPU, ms"):
        table.add_column(head, justify="right")
    for name in names:
        table.add_row(name, *(write_spread(spread(samples[name], unit)) for unit in UNITS))
    console.print(table)


def print_figures(console: Console, figures: Sequence[Figure], sizes: Sequence[int], peer_rows: int) -> None:
    # Peers that count are the slower the more there is to count.
    smaller = f"; promised for {PROMISED_ROWS:,} products, here are {peer_rows:,}" if peer_rows < PROMISED_ROWS else ""
    ends = f"most rows are {sizes[-1]:,} products, fewest {sizes[0]:,}"
    table = Table(title=f"What was promised (median of the rounds' ratios; {ends}{smaller})", title_justify="left")
    table.add_column("row")
    table.add_column("ratio", justify="right")
    table.add_column("promised", justify="right")
    table.add_column("")
    for figure in figures:
        sign = ">=" if figure.promise.at_least else "<="
        verdict = "[green]ok[/green]" if figure.is_kept else "[red]short[/red]"
        table.add_row(figure.promise.name, write_spread(figure.value), f"{sign} {figure.promise.limit:g}", verdict)
    console.print(table)


def print_memory(console: Console, memory: tuple[int, int], requests: int) -> None:
    after, before = (round(size / 1e6) for size in memory)
    console.print(f"Our server's memory: {before} MB after 100 requests, {after} MB after {requests:,}.")


def describe_machine() -> dict[str, Any]:
    """What a reader of the figures needs: their seconds are this machine's, their ratios less so."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def build_document(rows: Sequence[int], peer_rows: int, samples: Samples, figures: Sequence[Figure]) -> dict[str, Any]:
    return {
        "machine": describe_machine(),
        "rows": list(rows),
        "peer_rows": peer_rows,
        "targets": {name: [asdict(sample) for sample in found] for name, found in samples.items()},
        "figures": [
            asdict(figure.value)
            | {"name": figure.promise.name, "limit": figure.promise.limit, "at_least": figure.promise.at_least}
            | {"ok": figure.is_kept}
            for figure in figures
        ],
    }


def write_document(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")
