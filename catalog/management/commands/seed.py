"""`manage.py seed --products N`: demo products up to the number N. `--json` prints one line at the end."""

import json
import time
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from catalog.seeding.fill import count_seeded, fill_catalogue
from config.api.freshness.commits import acknowledge

# A demo SKU has eight digits.
MOST_PRODUCTS = 99_999_999

# Seconds between two lines of progress if the output isn't a terminal.
LINE_SECONDS = 5


class Command(BaseCommand):
    help = "Fill the catalogue with demo products up to a number. The same number gives the same rows everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--products", type=int, default=10_000, help="number of demo products (default: 10000)")
        parser.add_argument("--json", action="store_true", help="no progress; one JSON object at the end")

    def handle(self, *args: Any, products: int, json: bool, **options: Any) -> None:
        if not 1 <= products <= MOST_PRODUCTS:
            raise CommandError(f"--products {products}: expected a number from 1 to {MOST_PRODUCTS}")
        before, began = count_seeded(), time.monotonic()
        added = max(products - before, 0)
        if added:
            with acknowledge():
                self.follow(fill_catalogue(before + 1, products), added, quiet=json)
        self.report(before, added, time.monotonic() - began, json)

    def follow(self, batches: Iterable[int], total: int, quiet: bool) -> None:
        console = Console()
        if quiet:
            for _ in batches:
                pass
        elif console.is_terminal:
            draw_bar(console, batches, total)
        else:
            self.write_lines(batches, total)

    def write_lines(self, batches: Iterable[int], total: int) -> None:
        began = said = time.monotonic()
        done = 0
        for size in batches:
            done += size
            now = time.monotonic()
            if now - said >= LINE_SECONDS and done < total:
                rate = done / (now - began)
                left = (total - done) / rate
                self.stdout.write(f"{done:,} of {total:,} products, {rate:,.0f} a second, {left:.0f} s left")
                said = now

    def report(self, before: int, added: int, seconds: float, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"before": before, "added": added, "seconds": round(seconds, 2)}))
        elif added:
            rate = added / seconds
            self.stdout.write(
                f"{added:,} demo products added in {seconds:.1f} s ({rate:,.0f}/s), {before + added:,} in all"
            )
        else:
            self.stdout.write(f"Nothing to do: demo products up to number {before:,} were added before")


class RateColumn(TextColumn):
    """Products a second."""

    def __init__(self) -> None:
        super().__init__("{task.fields[rate]}")


def draw_bar(console: Console, batches: Iterable[int], total: int) -> None:
    columns = (
        TextColumn("Demo products"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, rate="")
        for size in batches:
            progress.advance(task, size)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:,.0f}/s" if speed else "")
