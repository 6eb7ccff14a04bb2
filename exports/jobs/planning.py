"""A queued job in, its parts out: ranges of ids up to the present greatest id. The feed's cursor is read before."""

from collections.abc import Iterator

from django.db import transaction

from catalog.changes.feed import read_cursor
from config.api.reads.resources import RESOURCES
from exports.errors import TooManyRows
from exports.jobs.formats import JOB_FORMATS
from exports.jobs.requests import build_query, find_exporter
from exports.models import ExportJob, ExportPart
from exports.rows.chunks import find_ends, read_anywhere

# A worker that dies loses one part, which is half a second of COPY. With smaller parts the tasks would cost more.
PART_ROWS = 50_000
# A limit for the tasks of a large job: RQ needed 51 s for 20,000 empty tasks.
GREATEST_PARTS = 400


def plan_job(job: ExportJob) -> None:
    """Plan the job. The caller holds its lease."""
    # The cursor is read before the first row, so the feed after it has all later writes.
    cursor = read_cursor() if RESOURCES[job.resource].is_followed else None
    exporter = find_exporter(job)
    query = build_query(job, exporter)
    first_id, last_id = find_ends(query)
    # What is before the rows belongs to the part that begins at 0.
    first_id = 1 if query.resource.read_head else max(1, first_id)
    total = read_anywhere(query, lambda query: query.rows.filter(pk__lte=last_id).count())
    refuse_too_many(job, total)
    with transaction.atomic():
        ExportPart.objects.bulk_create(cut_parts(job, first_id, last_id, total))
        job.begin(last_id=last_id, changes_cursor=cursor, rows_total=total, rights=sorted(exporter.rights))


def refuse_too_many(job: ExportJob, total: int) -> None:
    most = JOB_FORMATS[job.format].most_rows
    if most is not None and total > most:
        raise TooManyRows(job.format, most)


def cut_parts(job: ExportJob, first_id: int, last_id: int, total: int) -> Iterator[ExportPart]:
    """Parts with ranges of equal width. At least one, so that an empty table has a file too."""
    number = min(max(1, -(-total // PART_ROWS)), GREATEST_PARTS)
    ends = [first_id - 1 + (last_id - first_id + 1) * index // number for index in range(number + 1)]
    for index in range(number):
        yield ExportPart(job=job, number=index, after=ends[index], upto=ends[index + 1])
