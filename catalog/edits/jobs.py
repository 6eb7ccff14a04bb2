"""An edit job in, edited rows out: one transaction for each batch and its checkpoint.

A killed worker loses its current batch only, which is rolled back with its checkpoint. So no product is edited twice,
which matters for per cent, and none is left out.
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from catalog.changes.log import number_all
from catalog.edits.kinds import Edit
from catalog.edits.models import MOST_KEPT_REFUSALS, EditJob
from catalog.edits.reading import BadEdit, read_edit
from catalog.edits.rows import Proposal, propose, write_proposals
from catalog.models import Product
from config.api.admin.saved import clean_query
from config.api.database.authorship import sign_writes
from config.api.database.leases import STOP
from config.api.jobs.models import JobFailure
from config.api.jobs.running import end_on_error, submit_job, write_as

# More products are edited by a worker, not within the request.
MOST_AT_ONCE = 500
# Products of a batch, which is one transaction. On SQLite other writers wait for it.
BATCH = {"postgresql": 1_000, "sqlite": 200}
# The keys that are read at once: an index serves few filters in the order of the keys, so each read may sort them all.
KEYS = 50_000
# After so many seconds a step of the job ends, so that workers see early that it was canceled, and make room.
STEP_SECONDS = 20.0


def submit_edit(job: EditJob) -> EditJob:
    """Edit at once if there are few products, else by a worker."""
    if job.rows_total is None or job.rows_total > MOST_AT_ONCE:
        return submit_job(job)
    job.save()
    held = job.claim_step()
    assert isinstance(held, EditJob)  # nobody else has seen it
    with end_on_error(held):
        run_edit(held, math.inf)
    return held


def run_edit(job: EditJob, seconds: float = STEP_SECONDS) -> None:
    """Edit as many products as fit into one step. The caller holds the job's lease."""
    end = time.monotonic() + seconds
    edit = read_again(job)
    job.require_owner(job.right, *edit.list_rights())
    with write_as(job), sign_writes():
        job.begin()
        for keys in list_batches(job):
            number_all()  # what others have committed must have its place in the log
            with transaction.atomic():
                take_batch(job, edit, keys)
            STOP.check()
            if time.monotonic() > end:
                return
        with transaction.atomic():
            edit.end()
            job.finish(rows_total=job.rows_done)
    number_all()


def read_again(job: EditJob) -> Edit:
    try:
        return read_edit(job.values)
    except BadEdit as error:
        raise JobFailure(error.sentence) from None


def list_batches(job: EditJob) -> Iterator[list[int]]:
    """The keys of the products that aren't done yet, in ascending order."""
    products, size = find_products(job), BATCH[connection.vendor]
    last = job.last_key
    while keys := list_keys(products, last, job.until_key):
        for start in range(0, len(keys), size):
            yield keys[start : start + size]
        last = keys[-1]


def list_keys(products: QuerySet[Product], after: int, until: int) -> list[int]:
    rows = products.filter(pk__gt=after, pk__lte=until).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:KEYS])


def find_products(job: EditJob) -> QuerySet[Product]:
    """The edit's own products, the selected ones, or those that the list shows with the job's query to its owner."""
    if job.values and (chosen := read_again(job).choose()) is not None:
        return chosen
    if job.keys:
        return Product.objects.filter(pk__in=job.keys)
    page = admin.site.get_model_admin(Product)
    request = HttpRequest()
    request.method, request.GET = "GET", QueryDict(clean_query(job.query, (ORDER_VAR,)))
    request.user = job.owner  # type: ignore[assignment]  # `require_owner` has seen to it
    try:
        changes: Any = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        raise JobFailure("The list's filter isn't known any more.") from None
    found: QuerySet[Product] = changes.get_queryset(request)
    return found


def take_batch(job: EditJob, edit: Edit, keys: Sequence[int]) -> None:
    """Edit a batch, and write the checkpoint."""
    proposals = propose(edit, keys, job.since, lock=True, narrows=not job.keys)
    write_proposals(edit, proposals)
    job.write(last_key=keys[-1], **tell_progress(job, proposals, len(keys)))


def tell_progress(job: EditJob, proposals: Sequence[Proposal], done: int) -> dict[str, Any]:
    rows_done = job.rows_done + done
    share = rows_done / max(1, job.rows_total) if job.rows_total else job.last_key / max(1, job.until_key)
    values = {"rows_done": rows_done, "report": count(job.report, proposals)} | job.measure_progress(share)
    if refused := [proposal for proposal in proposals if proposal.reason]:
        room = max(0, MOST_KEPT_REFUSALS - len(job.refusals))
        values["refusals"] = job.refusals + [show_refusal(proposal) for proposal in refused[:room]]
    return values


def count(report: dict[str, int], proposals: Sequence[Proposal]) -> dict[str, int]:
    counts = {"changed": 0, "unchanged": 0, "refused": 0} | report
    for proposal in proposals:
        counts["refused" if proposal.reason else "changed" if proposal.is_changed else "unchanged"] += 1
    return counts


def show_refusal(proposal: Proposal) -> dict[str, Any]:
    return {"sku": proposal.sku, "product_id": proposal.product_id, "detail": proposal.reason}
