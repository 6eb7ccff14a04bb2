"""A job's refused rows with the reasons: kept while it runs, and sent as a file to mend, which is imported again.

A table is mended as a CSV with the same columns. JSON and feeds are mended as NDJSON, one line for each row.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Sum
from django.db.models.functions import Length
from django.http import StreamingHttpResponse

from catalog.imports.errors import REASON, Refusal
from catalog.imports.models import ImportJob, RefusedRow
from catalog.imports.records import Record, Source
from catalog.imports.refusals import ERRORS_AT_ONCE, write_csv
from config.api.rendering.formulas import guard_text

# Characters of the rows that a job keeps: a file with more to mend is wrong as a whole.
MOST_KEPT = 16 * 2**20
TABLES = ("csv", "xlsx", "parquet")
# With it Excel reads a CSV as UTF-8.
MARK = "\ufeff"


class RefusedRows:
    """Holds the rows of a run until their batch is written, and gives those that were refused.

    One thread reads ahead and appends while another one takes: a deque allows that.
    """

    def __init__(self, job: ImportJob, source: Source) -> None:
        self.job = job
        self.source = source
        self.waiting: deque[list[Record]] = deque()
        # A dry run begins again.
        self.rows, self.kept = (0, 0) if job.dry_run else (job.refused_rows, job.refused_rows_kept)
        self.room = MOST_KEPT - (measure_kept(job) if self.kept else 0)

    def watch(self, groups: Iterable[list[Record]]) -> Iterator[list[Record]]:
        """Passes the rows of each product on."""
        for rows in groups:
            if rows[0].line > self.job.line or self.job.dry_run:
                self.waiting.append(rows)
            yield rows

    def take(self, errors: Iterable[Refusal], line: int) -> list[RefusedRow]:
        """The rows of the refused products up to `line`, as far as there is room."""
        reasons: dict[int, list[str]] = defaultdict(list)
        for error in errors:
            reasons[error.line].append(error.reason)
        kept: list[RefusedRow] = []
        while self.waiting and self.waiting[0][0].line <= line:
            rows = self.waiting.popleft()
            if any(record.line in reasons for record in rows):
                kept += self.fit([make_row(self.job, record, reasons) for record in rows])
        return kept

    def fit(self, rows: Sequence[RefusedRow]) -> Sequence[RefusedRow]:
        """All rows of a product, or none. Once one hasn't fitted, none does: the file has the first rows."""
        self.rows += len(rows)
        size = sum(len(row.cells) for row in rows)
        if size > self.room:
            self.room = 0
            return ()
        self.room -= size
        self.kept += len(rows)
        return rows

    def tell(self) -> dict[str, Any]:
        """Values for the job's row."""
        columns = [column for column in self.source.columns if column and column != REASON]
        told = {} if self.job.columns or self.source.kind not in TABLES else {"columns": columns}
        return {**told, "refused_rows": self.rows, "refused_rows_kept": self.kept}


def measure_kept(job: ImportJob) -> int:
    return int(job.refused.aggregate(size=Sum(Length("cells")))["size"] or 0)


def make_row(job: ImportJob, record: Record, reasons: Mapping[int, Sequence[str]]) -> RefusedRow:
    cells = {column: cell for column, cell in record.cells.items() if column != REASON}
    told = "; ".join(reasons.get(record.line, ()))
    reason = f"line {record.line}: {told}" if told else ""
    return RefusedRow(job=job, line=record.line, cells=json.dumps(cells, default=str), reason=reason)


# -- the file -------------------------------------------------------------------------------------------------------


def send_refused(job: ImportJob, *, is_head: bool = False) -> StreamingHttpResponse:
    suffix, kind = ("csv", "text/csv") if job.columns else ("ndjson", "application/x-ndjson")
    headers = {
        "Content-Disposition": f'attachment; filename="import-{job.pk}-refused.{suffix}"',
        "X-Content-Type-Options": "nosniff",
    }
    chunks = () if is_head else write_table(job) if job.columns else write_lines(job)
    return StreamingHttpResponse(chunks, content_type=f"{kind}; charset=utf-8", headers=headers)


def write_table(job: ImportJob) -> Iterator[bytes]:
    yield encode(MARK + write_csv([(*map(guard_text, job.columns), REASON)]))
    point = job.options.get("decimal") or "."
    for rows in read_kept(job):
        cells = ((json.loads(text), reason) for text, reason in rows)
        yield encode(
            write_csv(
                (*(guard_text(show_cell(own.get(column), point)) for column in job.columns), guard_text(reason))
                for own, reason in cells
            )
        )


def write_lines(job: ImportJob) -> Iterator[bytes]:
    for rows in read_kept(job):
        lines = (json.dumps(json.loads(text) | {REASON: reason}, ensure_ascii=False) for text, reason in rows)
        yield encode("".join(f"{line}\n" for line in lines))


def read_kept(job: ImportJob) -> Iterator[list[tuple[str, str]]]:
    """The cells and the reason of each row, with a short query for each block."""
    last = 0
    rows = job.refused.order_by("pk").values_list("pk", "cells", "reason")
    while found := list(rows.filter(pk__gt=last)[:ERRORS_AT_ONCE]):
        last = found[-1][0]
        yield [(cells, reason) for _, cells, reason in found]


def show_cell(cell: Any, point: str) -> str:
    """A cell as the same import reads it in a CSV: `point` is the decimal sign of its numbers."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    text = json.dumps(cell, ensure_ascii=False)
    return text.replace(".", point) if isinstance(cell, float) else text


def encode(text: str) -> bytes:
    # Half characters, which bytes of another encoding become.
    return text.encode(errors="backslashreplace")
