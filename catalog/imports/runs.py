"""A source in, a report after each batch out; memory holds one batch whatever the size of the file.

A dry run is the same run inside one transaction that is rolled back, so later batches see the earlier ones, and
counts and errors are those of the real run.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import transaction

from catalog.imports import plain, shopify
from catalog.imports.drafts import BadRow, ProductDraft
from catalog.imports.mapping import Columns, map_columns
from catalog.imports.readers import BadFile, Record, Source
from catalog.imports.report import Outcome, Report
from catalog.imports.seen import refuse_repeats
from catalog.imports.upsert import import_batch
from catalog.statistics import refresh_statistics

# Rows/s for 20,000 new products, each with a text, an image and a stock, by batch size 250 · 500 · 1,000 · 2,000 ·
# 4,000: SQLite 1,945 · 2,042 · 2,101 · 2,216 · 2,259, PostgreSQL 15 1,368 · 1,513 · 1,603 · 1,719 · 1,729
# (2 shared cores). Past 1,000 a doubled memory, and doubled locks, buy a twentieth.
BATCH_WEIGHT = 1_000
# A draft of long texts weighs as many short ones, so that a batch has a bound in bytes, too.
TEXT_WEIGHT = 4_096


class ImportRun:
    """One import of one source; raises BadFile at once where the mapping doesn't fit the file."""

    def __init__(self, source: Source, pairs: str = "", *, dry_run: bool = False) -> None:
        self.source = source
        self.columns = choose_columns(source, pairs)
        self.report = Report(file=source.name, format=source.format, dry_run=dry_run)
        self._start = time.monotonic()

    def take_steps(self) -> Iterator[Report]:
        """Import batch by batch; the same report, grown, after each of them."""
        with roll_back() if self.report.dry_run else as_it_goes():
            for batch in cut_batches(self.read_drafts()):
                self.report.add(refuse_bad([row for row in batch if isinstance(row, BadRow)]))
                drafts = [row for row in batch if not isinstance(row, BadRow)]
                self.report.add(import_batch(drafts) if drafts else Outcome())
                self.report.seconds = time.monotonic() - self._start
                yield self.report
        if self.report.has_changes and not self.report.dry_run:
            refresh_statistics()
        self.report.seconds = time.monotonic() - self._start

    def read_drafts(self) -> Iterator[ProductDraft | BadRow]:
        records = self.count_rows(self.source.records)
        is_shopify = self.source.format == "shopify"
        drafts = shopify.draft_products(records) if is_shopify else plain.draft_products(records, self.columns)
        return refuse_repeats(drafts)

    def count_rows(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self.report.rows += 1
            yield record


def choose_columns(source: Source, pairs: str) -> Columns:
    if source.format != "shopify":
        return map_columns(source, pairs)
    if pairs:
        raise BadFile(f"--map: the columns of Shopify's format are fixed, and {source.name} is one: add --format csv")
    return {}


def cut_batches(rows: Iterable[ProductDraft | BadRow]) -> Iterator[list[ProductDraft | BadRow]]:
    batch: list[ProductDraft | BadRow] = []
    weight = 0
    for row in rows:
        batch.append(row)
        weight += weigh_row(row)
        if weight >= BATCH_WEIGHT:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def weigh_row(row: ProductDraft | BadRow) -> int:
    if isinstance(row, BadRow):
        return 1
    parts = max(1, len(row.variants), len(row.images))
    return parts + sum(map(len, row.text.values())) // TEXT_WEIGHT


def refuse_bad(rows: list[BadRow]) -> Outcome:
    return Outcome(refused=len(rows), errors=[refusal for row in rows for refusal in row.refusals])


@contextmanager
def as_it_goes() -> Iterator[None]:
    """Each batch is committed by itself."""
    yield


@contextmanager
def roll_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
