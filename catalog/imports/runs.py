"""A source in, a report after each batch out. Memory holds two batches, whatever the size of the file.

While the database writes a batch, a thread reads and checks the next one. A dry run is the same run inside one
transaction that is rolled back: later batches see the earlier ones, so its counts and errors are those of the real run.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Self

from django.db import OperationalError, connection, transaction

from catalog.changes.log import number_all, number_meanwhile
from catalog.imports.errors import BadRow
from catalog.imports.formats.all import choose_format, name_format
from catalog.imports.groups import group_rows
from catalog.imports.missing import archive_missing
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.report import Outcome, Report
from catalog.imports.seen import Seen
from catalog.imports.terms import TermDraft
from catalog.imports.upsert import ATTEMPTS, import_batch, is_passing, make_manner
from catalog.rights import DELETE
from catalog.statistics import refresh_statistics
from catalog.writes.drafts import ProductDraft
from config.api.database.ahead import read_ahead
from config.process.collector import pause_collector

type Row = ProductDraft | TermDraft | BadRow
# Called in each batch's transaction, with the result of the batch and of the file so far.
type Checkpoint = Callable[[Outcome, Report], None]

# The weight of a batch, see `weigh_row`. A batch is one transaction and holds its locks, so larger is not better. On
# SQLite other writers wait for it, and above 1,000 a batch of twice the size makes the import only a twentieth faster.
BATCH_WEIGHT = {"postgresql": 5_000, "sqlite": 1_000}
# So many characters of text weigh as much as one variant: this limits a batch's bytes too.
TEXT_WEIGHT = 4_096


@dataclass(slots=True)
class Step:
    """A batch, read and checked. `rows`, `bytes` and `line` are the positions in the file after it."""

    batch: list[Row]
    rows: int
    bytes: int

    @property
    def line(self) -> int:
        return find_line(self.batch[-1])


class ImportRun:
    """One import of one source. Raises BadFile at once if the options don't fit the file.

    With the `report` of a stopped run it continues after that run's last batch. It reads the earlier rows again, since
    a later row may repeat their SKUs, but doesn't write them.
    """

    def __init__(
        self,
        source: Source,
        options: Options = Options(),  # noqa: B008 (frozen)
        *,
        dry_run: bool = False,
        report: Report | None = None,
        checkpoint: Checkpoint = lambda outcome, report: None,
    ) -> None:
        self.source = source
        self.options = options
        self.format = choose_format(source, options)
        self.manner = make_manner(options, is_exact=self.format.is_exact)
        self.report = report or Report(file=source.name, dry_run=dry_run)
        self.report.format, self.report.key_name = name_format(source, self.format), self.format.key_name
        self.checkpoint = checkpoint
        # The rows that came out of the file, and those that were drafted: all rows may be read before the first draft.
        self.rows_seen = self.rows_read = 0
        self._start = time.monotonic() - self.report.seconds

    def act_for(self, user: Any) -> Self:
        """Do only what this user may. Without a user, as on the command line, a run may do everything."""
        self.manner = replace(self.manner, may_delete=user.has_perm(DELETE))
        return self

    def take_steps(self) -> Iterator[Report]:
        """Import batch by batch. Yields the report, always the same object, after each batch."""
        with (
            closing(Seen()) as seen,
            roll_back() if self.report.dry_run else as_it_goes(),
            number_meanwhile() as number_changes,
        ):
            for step in read_ahead(self.read_steps(seen)):
                with pause_collector(), transaction.atomic():
                    self.take_step(step)
                number_changes()
                yield self.report
            self.finish_report()
            if self.options.missing == "archive":
                archive_missing(seen, self.report)
                yield self.report
        if self.report.has_changes and not self.report.dry_run:
            refresh_statistics()
            number_all()
        self.report.seconds = time.monotonic() - self._start
        self.report.is_whole = True

    def take_step(self, step: Step) -> None:
        outcome = refuse_bad([row for row in step.batch if isinstance(row, BadRow)])
        if drafts := [row for row in step.batch if not isinstance(row, BadRow)]:
            outcome.add(import_batch(drafts, self.manner, gives_way=self.report.dry_run))
        outcome.errors.sort(key=attrgetter("line"))  # different stages found them
        self.report.add(outcome)
        self.report.rows, self.report.bytes, self.report.line = step.rows, step.bytes, step.line
        self.report.seconds = time.monotonic() - self._start
        self.checkpoint(outcome, self.report)

    def finish_report(self) -> None:
        self.report.rows = self.rows_read
        self.report.unread_columns = self.format.list_unread()
        self.report.guessed = self.source.notes.as_json()

    def read_steps(self, seen: Seen) -> Generator[Step]:
        for rows in cut_batches(self.read_drafts()):
            if batch := self.skip_done(seen.refuse_repeats(rows)):
                yield Step(batch, self.rows_read, self.source.bytes_read * self.rows_read // self.rows_seen)

    def read_drafts(self) -> Iterator[Row]:
        for rows in self.read_groups():
            self.rows_read += len(rows)
            try:
                draft = self.format.draft(rows)
            except BadRow as error:
                yield BadRow(error.refusals, rows[0].line)
            else:
                if draft:
                    yield draft

    def read_groups(self) -> Iterable[list[Record]]:
        """The rows of each product."""
        records = self.watch_rows(self.source.records)
        return group_rows(records, self.format) if self.format.is_grouped else ([record] for record in records)

    def watch_rows(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self.rows_seen += 1
            yield record

    def skip_done(self, rows: Iterable[Row]) -> list[Row]:
        done = self.report.line
        return [row for row in rows if find_line(row) > done]


def follow_run(open_run: Callable[[], AbstractContextManager[ImportRun]]) -> Iterator[Report]:
    """The report of a run after each batch, and at its end.

    A dry run that is deadlocked rolls back, which gives its locks to the other one, and begins again.
    """
    for attempts in reversed(range(ATTEMPTS)):
        with open_run() as run:
            try:
                yield from run.take_steps()
            except OperationalError as error:
                if attempts and run.report.dry_run and is_passing(error):
                    continue
                raise
            yield run.report
            return


def cut_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    weight, most = 0, BATCH_WEIGHT[connection.vendor]
    for row in rows:
        batch.append(row)
        weight += weigh_row(row)
        if weight >= most:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def find_line(row: Row) -> int:
    if isinstance(row, BadRow):
        return row.line
    place: Any = row.place  # a Line: these drafts are of a file
    return int(place.number)


def weigh_row(row: Row) -> int:
    if not isinstance(row, ProductDraft):
        return 1
    parts = max(1, len(row.variants or ()), len(row.images or ()))
    return parts + sum(map(len, row.text.values())) // TEXT_WEIGHT


def refuse_bad(rows: list[BadRow]) -> Outcome:
    return Outcome(refused=len(rows), errors=[refusal for row in rows for refusal in row.refusals])


@contextmanager
def as_it_goes() -> Iterator[None]:
    """No outer transaction: each batch is committed by itself."""
    yield


@contextmanager
def roll_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
