"""An undo job in, its rows as they were before out: one transaction for each batch and its checkpoint.

A killed worker loses its current batch only, which is rolled back. The next worker goes on after the checkpoint.

The phases: rows without a product (brands, categories, attributes) come back first, since products refer to them. Then
products that the undone changes created are deleted, which frees their SKUs and slugs. Then come products with all that
belongs to them, stock that has lost its product in the log, and at last rows without a product to be deleted.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from catalog.changes.entities import list_entities, list_without_product
from catalog.changes.log import number_all, refresh_log_statistics
from catalog.changes.undo.checking import check_steps
from catalog.changes.undo.chosen import Chosen
from catalog.changes.undo.histories import Reason, Step
from catalog.changes.undo.models import MOST_KEPT_CONFLICTS, MOST_KEPT_STEPS, UndoJob
from catalog.changes.undo.reading import Key, Reading, read_products, read_rows
from catalog.changes.undo.rows import list_restorable, list_unique
from catalog.changes.undo.sentences import explain_step
from catalog.changes.undo.writing import take_steps
from catalog.models import Product, Variant
from catalog.writes.among import is_among
from config.api.database.authorship import sign_writes
from config.api.database.leases import STOP
from config.api.jobs.running import write_as

# Products of a batch, which is one transaction. On SQLite other writers wait for it.
BATCH = {"postgresql": 1_000, "sqlite": 200}
# Products of later batches that a batch takes along, since they hold a value that one of its rows gets back.
MOST_PARTNERS = 1_000
# Before an undo of more changes the database counts the log's rows anew.
MANY = 10_000
# After so many seconds a step of the job ends, so that workers see early that it was canceled, and make room.
STEP_SECONDS = 20.0

WRITTEN, REMOVED = ("create", "update"), ("delete",)
ALL = (*WRITTEN, *REMOVED)


class Phases:
    """The phases of one undo: the keys of each, and how a batch of them is read."""

    def __init__(self, job: UndoJob) -> None:
        self.job, self.lock = job, not job.dry_run
        self.chosen = Chosen(job.request_id, job.position, job.products, job.until)
        # Rows that a dry run would have created: what refers to them isn't without its row.
        self.promised: set[Key] = set()
        taxonomy, lost = list_without_product() & list_restorable(), ("stock",)
        # What lists the keys, what reads a batch, and the operations that the phase writes.
        self.all: tuple[tuple[Callable[[int, int], Sequence[Any]], Callable[[Any], Reading], Collection[str]], ...] = (
            (lambda after, most: self.chosen.list_rows(taxonomy, after, most), self.read_rows, WRITTEN),
            (self.chosen.list_new_products, self.read_products, REMOVED),
            (self.chosen.list_products, self.read_products, ALL),
            (lambda after, most: self.chosen.list_rows(lost, after, most), self.read_rows, ALL),
            (lambda after, most: self.chosen.list_rows(taxonomy, after, most), self.read_rows, REMOVED),
        )

    def read_rows(self, keys: Collection[tuple[str, int]]) -> Reading:
        return read_rows(self.chosen, keys, self.job.since, lock=self.lock)

    def read_products(self, keys: Collection[int]) -> Reading:
        return read_products(self.chosen, keys, self.job.since, lock=self.lock)

    def take_batch(self) -> bool:
        """Undo the next batch, and write the checkpoint; false if no phase is left."""
        job = self.job
        list_keys, read, ops = self.all[job.phase]
        keys = list_keys(job.last_key, BATCH[connection.vendor])
        if not keys:
            job.write(phase=job.phase + 1, last_key=0)
            return job.phase < len(self.all)
        reading, steps = self.read_with_partners(keys, read, ops)
        if ops == ALL:
            steps = leave_removed(steps)
        check_steps(steps, reading, self.promised, force=job.force)
        keep_whole(steps)
        if job.dry_run:
            self.promised |= {(step.entity, step.key) for step in steps if step.op == "create" and not step.reason}
        else:
            take_steps(steps, reading.versions)
        last = keys[-1] if isinstance(keys[-1], int) else max(key for _, key in keys)
        done = sum(change.is_chosen for history in reading.histories.values() for change in history.changes)
        job.write(last_key=last, **tell_progress(job, steps, 0 if ops == REMOVED else done))
        return True

    def read_with_partners(self, keys: Sequence[Any], read: Any, ops: Collection[str]) -> tuple[Reading, list[Step]]:
        """The batch, with products of later batches that hold a SKU or slug which a row gets back."""
        wider: list[Any] = list(keys)
        while True:
            reading = read(wider)
            planned = [step for history in reading.histories.values() if (step := history.plan()) and step.op in ops]
            steps = [step for step in planned if not self.job.columns or step.keep_columns(self.job.columns)]
            partners = self.list_partners(steps, wider) if isinstance(keys[-1], int) else []
            if not partners or len(wider) + len(partners) > len(keys) + MOST_PARTNERS:
                return reading, steps
            wider += partners

    def list_partners(self, steps: Sequence[Step], keys: Sequence[int]) -> list[int]:
        holders: set[int] = set()
        for model in (Product, Variant):
            for name in list_unique(model):
                wanted = [step.values[name] for step in steps if is_of(step, model) and name in step.values]
                product = "pk" if model is Product else "product_id"
                if wanted:
                    holders.update(model.objects.filter(is_among(name, wanted)).values_list(product, flat=True))
        others = holders - set(keys)
        chosen = self.chosen.rows.filter(product_id__in=others).values_list("product_id", flat=True) if others else ()
        return sorted(key for key in set(chosen) if key)


def leave_removed(steps: Sequence[Step]) -> list[Step]:
    """Without products that the undone changes created: the phase before deleted them, or said why it doesn't.

    The phase before has counted these products. After a dry run or a refusal they still exist.
    """
    removed = {step.key for step in steps if step.entity == "product" and step.op == "delete"}
    return [step for step in steps if (step.key if step.entity == "product" else step.product_id) not in removed]


def keep_whole(steps: Sequence[Step]) -> None:
    """A product that isn't deleted keeps its parts: without its variants and texts it would be none."""
    kept = {step.key for step in steps if step.entity == "product" and step.op == "delete" and step.reason}
    for step in steps:
        if step.product_id in kept and step.op == "delete" and not step.reason:
            step.refuse(Reason.USED)


def is_of(step: Step, model: type[Model]) -> bool:
    return list_entities()[step.entity] is model and step.op != "delete"


def run_undo(job: UndoJob, seconds: float = STEP_SECONDS) -> None:
    """Undo as much as fits into one step. The caller holds the job's lease."""
    end, phases = time.monotonic() + seconds, Phases(job)
    if (job.rows_total or 0) > MANY and job.phase == 0:
        refresh_log_statistics()
    with write_as(job), sign_writes():
        job.begin()
        while job.phase < len(phases.all):
            number_outside()  # what others have committed must have its place in the log
            with transaction.atomic():
                phases.take_batch()
            STOP.check()
            if time.monotonic() > end and not job.dry_run:
                return
        job.finish(rows_done=job.rows_total)
    number_outside()


def number_outside() -> None:
    """Number all changes, but not within a request's transaction: others that number would wait for its end."""
    if not connection.in_atomic_block:
        number_all()


def tell_progress(job: UndoJob, steps: Sequence[Step], done: int) -> dict[str, Any]:
    rows_done = min(job.rows_done + done, job.rows_total or 0)
    values = {"rows_done": rows_done, "report": count_steps(job.report, steps)}
    values |= job.measure_progress(rows_done / max(1, job.rows_total or 0))
    if refused := [step for step in steps if step.reason]:
        shown = [show_conflict(step) for step in refused[: max(0, MOST_KEPT_CONFLICTS - len(job.conflicts))]]
        values |= {"conflicts": job.conflicts + shown, "conflicts_total": job.conflicts_total + len(refused)}
    if (room := MOST_KEPT_STEPS - len(job.steps)) > 0:
        values["steps"] = job.steps + [show_step(step) for step in steps if not step.reason][:room]
    return values


def count_steps(report: dict[str, Any], steps: Iterable[Step]) -> dict[str, Any]:
    counts = {entity: dict(numbers) for entity, numbers in report.items()}
    for step in steps:
        numbers = counts.setdefault(step.entity, {})
        what = "skipped" if step.reason else f"{step.op}d"
        numbers[what] = numbers.get(what, 0) + 1
    return counts


def show_conflict(step: Step) -> dict[str, Any]:
    return name_step(step) | {
        "reason": str(step.reason), "columns": list(step.columns), "detail": explain_step(step)
    }  # fmt: skip


def show_step(step: Step) -> dict[str, Any]:
    return name_step(step) | {"op": step.op, "from": show_values(step.present), "to": show_values(step.values)}


def name_step(step: Step) -> dict[str, Any]:
    return {"entity": step.entity, "entity_id": step.key, "product_id": step.product_id, "sku": step.sku or None}


def show_values(values: dict[str, Any]) -> dict[str, Any]:
    return {name: show_value(value) for name, value in values.items()}


def show_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
