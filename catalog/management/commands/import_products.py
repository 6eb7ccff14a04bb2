"""`manage.py import_products FILE`: the command line of catalog.imports. All printing happens here."""

import json
import secrets
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from catalog.imports.errors import BadFile
from catalog.imports.formats.all import FORMATS
from catalog.imports.options import DECIMALS, HELP, MISSING, WEIGHT_UNITS, Options
from catalog.imports.previews import Preview
from catalog.imports.readers import check_text, open_source
from catalog.imports.report import RARE, Report
from catalog.imports.runs import ImportRun, follow_run
from catalog.imports.values import FIELDS
from catalog.models import Product
from config.api.jobs.running import name_request
from config.logs import REQUEST_ID

# The errors that are printed; --json has the first 1,000.
SHOWN_ERRORS = 20
# Seconds between two lines of progress if the output isn't a terminal.
LINE_SECONDS = 5.0
BAD_FILE, BAD_ROWS = 2, 1
# The choices of each option; None means any text.
CHOICES = {
    "encoding": None,
    "decimal": DECIMALS,
    "category_separator": None,
    "weight_unit": WEIGHT_UNITS,
    "status": Product.Status.values,
}

RULES = f"""\
fields:
  {", ".join(FIELDS)}

rows:
  Products are found by SKU (Shopify: by Handle). New ones are created, and existing ones written only if they differ.
  If the file has no column for a field, the field stays as it is. A blank cell clears brand, category,
  compare_at_price, tags, barcode and texts; every other field stays as it is, such as the rating.
  Nothing is deleted: variants and images that the file doesn't name stay.
  A row whose SKU or Handle an earlier line has is refused; the error names both lines.
  A Shopify product with a bad row is left out as a whole. In other formats only the bad row is left out.

exit code:
  0 everything was imported, {BAD_ROWS} some rows were refused, {BAD_FILE} the file or the mapping can't be used.
"""


class Command(BaseCommand):
    help = "Import products from a CSV, Excel or JSON file, or from the export of a shop."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, epilog=RULES, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--format", choices=FORMATS, help="default: guessed from the suffix and the header")
        parser.add_argument(
            "--map",
            default="",
            metavar="field=column,…",
            help="our field on the left, the file's column on the right; category takes a path of columns:"
            " --map title=product,sku=index,category=category/sub_category/type."
            " A column with the name of a field needs no entry.",
        )
        for name, choices in CHOICES.items():
            parser.add_argument(f"--{name.replace('_', '-')}", default="", choices=choices, help=HELP[name])
        parser.add_argument("--missing", default="keep", choices=MISSING, help=HELP["missing"])
        for name in ("update_only", "create_only"):
            parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=HELP[name])
        parser.add_argument("--dry-run", action="store_true", help="report what a real run would do, write nothing")
        parser.add_argument(
            "--preview", action="store_true", help="show what the first 1,000 rows would be as JSON, write nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object to stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError: exit code 2 for an unusable file, 1 (after the summary) for refused rows."""
        # So that one undo takes all of it back; a job has its own number there.
        nothing = REQUEST_ID.set(name_request("import_products", secrets.token_hex(6)))
        try:
            self.run_import(options)
        finally:
            REQUEST_ID.reset(nothing)

    def run_import(self, options: dict[str, Any]) -> None:
        path: Path = options["file"]
        try:
            if options["preview"]:
                self.show_preview(path, options)
                return
            report = self.import_file(path, options)
        except BadFile as error:
            raise CommandError(str(error), returncode=BAD_FILE) from None
        except KeyboardInterrupt:
            told = f"stopped; complete batches are saved (request id {REQUEST_ID.get()}); the same command continues"
            raise CommandError(told) from None
        except DatabaseError as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(
                f"the database failed ({reason}); complete batches are saved: import the file again"
            ) from error
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror or error}", returncode=BAD_FILE) from None
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json() | {"request_id": REQUEST_ID.get()}))
        else:
            self.print_summary(report)
        if report.refused:
            raise CommandError(describe_refused(report), returncode=BAD_ROWS)

    def show_preview(self, path: Path, options: dict[str, Any]) -> None:
        chosen = choose_options(options)
        with path.open("rb") as stream:
            check_text(stream, path.name, chosen)
        with path.open("rb") as stream:
            preview = Preview(open_source(stream, path.name, chosen), chosen).look()
        self.stdout.write(json.dumps(preview, indent=2, default=str, ensure_ascii=False))

    def import_file(self, path: Path, options: dict[str, Any]) -> Report:
        chosen = choose_options(options)
        with path.open("rb") as stream:
            check_text(stream, path.name, chosen)
        with closing(Watch(Console(file=cast(IO[str], self.stderr._out)), path.stat().st_size)) as watch:
            for report in follow_run(partial(open_run, path, chosen, dry_run=options["dry_run"])):
                watch.show(report)
        return report

    def print_summary(self, report: Report) -> None:
        out = cast(IO[str], self.stdout._out)
        # A pipe has no width, and rich would wrap reasons at 80 characters.
        console = Console(file=out, width=None if out.isatty() else 1_000)
        console.print(make_table(report))
        for error in report.errors[:SHOWN_ERRORS]:
            console.print(f"line {error.line}, {error.key or 'no SKU'}: {error.reason}", markup=False, highlight=False)
        if (rest := report.errors_total - SHOWN_ERRORS) > 0:
            console.print(f"… and {rest:,} more; --json lists the first 1,000.")
        for line in list_notes(report):
            console.print(line, markup=False, highlight=False)
        console.print(describe_run(report), markup=False, highlight=False)
        if report.has_changes and not report.dry_run:
            console.print(f"To take it back, undo the request id {REQUEST_ID.get()}.", markup=False, highlight=False)


@contextmanager
def open_run(path: Path, chosen: Options, *, dry_run: bool) -> Iterator[ImportRun]:
    with path.open("rb") as stream:
        yield ImportRun(open_source(stream, path.name, chosen), chosen, dry_run=dry_run)


def choose_options(options: dict[str, Any]) -> Options:
    return Options.of({name: value for name, value in options.items() if value is not None})


class Watch:
    """Shows progress: a bar on a terminal, else a line every LINE_SECONDS."""

    def __init__(self, console: Console, size: int) -> None:
        self.console = console
        self.next_line = time.monotonic() + LINE_SECONDS
        self.progress = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f} rows/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=size, rows=0, speed=0)
        self.progress.start()

    def show(self, report: Report) -> None:
        """The bar counts bytes: the number of rows is known only at the end of the file."""
        speed = report.rows / max(report.seconds, 0.001)
        self.progress.update(self.task, completed=report.bytes, rows=report.rows, speed=speed)
        if not self.console.is_terminal and time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + LINE_SECONDS
            self.console.print(f"{report.rows:,} rows, {speed:,.0f} rows/s", highlight=False)

    def close(self) -> None:
        self.progress.stop()


def make_table(report: Report) -> Table:
    table = Table("", *(("created", "updated", "unchanged", "refused")))
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {"products": report.products, "variants": report.variants, "images": report.images}
    for name, tally in rows.items():
        refused = f"{report.refused:,}" if name == "products" else ""
        table.add_row(name, f"{tally.created:,}", f"{tally.updated:,}", f"{tally.unchanged:,}", refused)
    table.add_row("brands", f"{report.brands_created:,}")
    table.add_row("categories", f"{report.categories_created:,}")
    table.add_row("locations", f"{report.locations_created:,}")
    return table


def list_notes(report: Report) -> Iterator[str]:
    """The columns that weren't read, and the options that were guessed."""
    if report.unread_columns:
        names = (f"{one['column']} ({one['near']}?)" if one["near"] else one["column"] for one in report.unread_columns)
        yield f"Columns that weren't read: {', '.join(names)}."
    for guess in report.guessed:
        yield f"Guessed {guess['option']}={guess['used']}: {guess['reason']}."
    for name in RARE:
        if number := getattr(report, name):
            yield f"{number:,} products {name}."


def describe_run(report: Report) -> str:
    rows = "1 row" if report.rows == 1 else f"{report.rows:,} rows"
    speed = f"{rows} in {report.seconds:.1f} s"
    if report.dry_run:
        return f"Dry run, nothing was written: {speed}."
    if report.products.unchanged and not report.has_changes:
        return f"Nothing changed, the catalogue already says what {report.file} says: {speed}."
    return f"{speed}, {report.rows / max(report.seconds, 0.001):,.0f} rows/s."


def describe_refused(report: Report) -> str:
    what = "1 product was" if report.refused == 1 else f"{report.refused:,} products were"
    return f"{what} refused; correct the named lines and import the file again."
