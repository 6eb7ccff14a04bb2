"""`manage.py export products --format csv --output FILE`: writes a stream to a file; `-` is standard output."""

import json
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.http import QueryDict
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from config.api.database.ahead import GREATEST_WIDTH
from config.api.problems.errors import ApiError
from config.api.reads.resources import RESOURCES
from config.api.reads.selections import PARAMETERS
from config.process.limits import KEEPER
from exports.formats.formats import FORMATS
from exports.formats.tallies import Tally
from exports.rows.chunks import Query, find_ends, make_query
from exports.streaming.streams import stream_rows

# The caller of a command: it has all permissions.
OPERATOR: Any = SimpleNamespace(has_perm=lambda permission: True)

# Seconds between two lines of progress if the output isn't a terminal.
LINE_SECONDS = 5.0


class Command(BaseCommand):
    help = "Write a whole table to a file. The file exists only if it is complete."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("resource", choices=sorted(RESOURCES))
        parser.add_argument("--format", choices=sorted(FORMATS), required=True)
        parser.add_argument("--output", required=True, metavar="FILE", help="- for standard output")
        for name in PARAMETERS:
            parser.add_argument(f"--{name}", default="", metavar="a,b", help=f"as ?{name}= in the API")
        parser.add_argument("--after", type=int, default=0, metavar="ID", help="continue after this id")
        parser.add_argument(
            "--raw", action="store_true", help="CSV: leave cells that a spreadsheet would run as formulas unchanged"
        )
        parser.add_argument("--json", action="store_true", help="no progress; one JSON object at the end, on stderr")

    def handle(self, *args: Any, **options: Any) -> None:
        KEEPER.begin()
        self.write(self.prepare(options), options)

    def prepare(self, options: dict[str, Any]) -> Query:
        formats, suffix = RESOURCES[options["resource"]].formats, Path(options["output"]).suffix
        # Google's feed is XML or a table: the file's name decides.
        options["format"] += "_tsv" if (options["format"], suffix) == ("google", ".tsv") else ""
        if options["format"] not in formats:
            raise CommandError(
                f"{options['resource']} has no export as {options['format']}: use {' or '.join(formats)}"
            )
        parameters = QueryDict(mutable=True)
        parameters.update({name: options[name] for name in PARAMETERS} | {"raw": "1" if options["raw"] else "0"})
        try:
            return make_query(options["resource"], OPERATOR, parameters, options["format"], settings.PUBLIC_URL)
        except ApiError as error:
            raise CommandError(f"{error.detail} {error.hint}") from None

    def write(self, query: Query, options: dict[str, Any]) -> None:
        tally, began = Tally(), time.monotonic()
        # All messages go to stderr: stdout may be the file.
        watch = Watch(Console(file=cast(IO[str], self.stderr._out)), query, options["json"])
        try:
            with open_output(options["output"]) as file, watch.progress:
                for block in stream_rows(query, options["after"], tally, lambda: GREATEST_WIDTH):
                    file.write(block)
                    watch.show(tally)
        except OSError as error:
            raise CommandError(f"{options['output']} can't be written: {error.strerror or error}") from None
        self.report(tally, time.monotonic() - began, options)

    def report(self, tally: Tally, seconds: float, options: dict[str, Any]) -> None:
        figures = {"rows": tally.rows, "bytes": tally.size, "last_id": tally.last_id, "seconds": round(seconds, 2)}
        rate = tally.rows / max(seconds, 0.001)
        text = f"{tally.rows:,} rows of {options['resource']} in {seconds:.1f} s ({rate:,.0f}/s) to {options['output']}"
        cast(IO[str], self.stderr._out).write((json.dumps(figures) if options["json"] else text) + "\n")


class Watch:
    """Shows progress: a bar on a terminal, else a line every LINE_SECONDS. The bar counts ids."""

    def __init__(self, console: Console, query: Query, quiet: bool) -> None:
        self.console, self.quiet = console, quiet
        self.began = self.said = time.monotonic()
        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
        self.progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
        self.task = self.progress.add_task("", total=find_ends(query)[1], said="")

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        said = f"{tally.rows:,} rows, {tally.rows / max(now - self.began, 0.001):,.0f}/s"
        self.progress.update(self.task, completed=tally.last_id, said=said)
        if not (self.quiet or self.console.is_terminal) and now - self.said >= LINE_SECONDS:
            self.said = now
            self.console.print(said, highlight=False)


@contextmanager
def open_output(name: str) -> Iterator[IO[bytes]]:
    """Standard output, or a file that gets its name when it is complete."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # In the same folder, since a rename is atomic only within one file system.
    aside = Path(f"{name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            yield file
        aside.replace(name)
    finally:
        aside.unlink(missing_ok=True)
