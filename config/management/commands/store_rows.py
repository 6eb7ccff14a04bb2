"""`manage.py store_rows`: stores the JSON of rows that are older than its form, in batches. All printing is here.

It may be stopped and run again at any time, and beside servers: each batch is a short transaction.
"""

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from config.api.reads.stored_pieces import STORING
from config.api.reads.stored_rows import StoredTable, list_tables

# Seconds between two lines of progress if the output isn't a terminal.
LINE_SECONDS = 5.0


class Command(BaseCommand):
    help = "Store the JSON of rows beside them, where a migration has changed its form. Reads are right meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="also the rows that are stored already")
        parser.add_argument("--json", action="store_true", help="no progress; one JSON object at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        tables = list_tables() if connection.vendor == STORING else []
        if stale := [table.form.table for table in tables if not table.is_current(connection)]:
            raise CommandError(f"The triggers of {', '.join(stale)} have another form: run makemigrations and migrate.")
        stored = {table.form.table: self.store_table(table, options["all"], options["json"]) for table in tables}
        self.report(stored, options["json"])

    def store_table(self, table: StoredTable, is_all: bool, quiet: bool) -> int:
        done, line_at = 0, time.monotonic() + LINE_SECONDS
        columns = (TextColumn(table.form.table), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console()
        with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
            task = progress.add_task("", total=table.count_rows())
            for number in table.store_rows(is_all):
                done += number
                progress.advance(task, number)
                if not (quiet or console.is_terminal) and time.monotonic() >= line_at:
                    line_at += LINE_SECONDS
                    self.stdout.write(f"{table.form.table}: {done:,} rows")
        return done

    def report(self, stored: dict[str, int], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(stored))
        elif not stored:
            self.stdout.write("Nothing to do: only PostgreSQL stores rows.")
        for table, number in {} if as_json else stored.items():
            self.stdout.write(f"{table}: {number:,} rows stored")
