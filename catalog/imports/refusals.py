"""A job's refused rows in, a CSV out, for the API and the admin."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any

from django.http import StreamingHttpResponse

from catalog.imports.models import ImportJob
from config.api.rendering.formulas import guard_text

# The rows that one query reads and one chunk has.
ERRORS_AT_ONCE = 2_000
PARTS = ("reason", "column", "value", "rule", "remedy")


def send_errors(job: ImportJob, *, is_head: bool = False) -> StreamingHttpResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="import-{job.pk}-errors.csv"',
        "X-Content-Type-Options": "nosniff",
    }
    chunks = () if is_head else write_errors(job)
    return StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8", headers=headers)


def write_errors(job: ImportJob) -> Iterator[str]:
    """Chunks of CSV, one short query for each, so a slow client keeps no query open."""
    yield write_csv([("line", "sku", *PARTS)])
    last = 0
    rows = job.errors.order_by("pk").values_list("pk", "line", "key", *PARTS)
    while found := list(rows.filter(pk__gt=last)[:ERRORS_AT_ONCE]):
        last = found[-1][0]
        yield write_csv([(line, *map(guard_text, texts)) for _, line, *texts in found])


def write_csv(rows: Iterable[tuple[Any, ...]]) -> str:
    block = StringIO()
    csv.writer(block).writerows(rows)
    return block.getvalue()
