"""Steps in, rows out: a few statements for each table. A step that the database rejects is refused."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from catalog.changes.entities import list_entities
from catalog.changes.tables import MOVED, VERSION
from catalog.changes.undo.histories import Reason, Step
from catalog.changes.undo.rows import sort_entities
from catalog.writes.among import is_among
from catalog.writes.saving import make_batch, move_versions

# A change of their rows is a change of the product, for clients that send If-Match.
PARTS = ("variant", "image")


def take_steps(steps: Sequence[Step], versions: Mapping[int, int]) -> None:
    """Write the steps without a reason. If the database rejects them, halves until only the bad product is left out."""
    units = group_units(step for step in steps if not step.reason)
    take_units(list(units.values()), versions)


def group_units(steps: Any) -> dict[Any, list[Step]]:
    """Steps that go together: those of a product, or one row without a product."""
    units: dict[Any, list[Step]] = defaultdict(list)
    for step in steps:
        units[step.product_id or (step.entity, step.key)].append(step)
    return units


def take_units(units: list[list[Step]], versions: Mapping[int, int]) -> None:
    try:
        with transaction.atomic():
            write([step for unit in units for step in unit], versions)
    except (IntegrityError, DataError):
        if len(units) > 1:
            take_units(units[: len(units) // 2], versions)
            take_units(units[len(units) // 2 :], versions)
            return
        for step in units[0]:
            step.refuse(Reason.TAKEN)


def write(steps: Collection[Step], versions: Mapping[int, int]) -> None:
    # Deletions first: they free SKUs and slugs.
    for entity in reversed(sort_entities()):
        keys = [step.key for step in steps if step.entity == entity and step.op == "delete"]
        if keys:
            list_entities()[entity]._default_manager.filter(is_among("pk", keys)).delete()
    for entity in sort_entities():
        model, own = list_entities()[entity], [step for step in steps if step.entity == entity]
        create([step for step in own if step.op == "create"], model)
        update([step for step in own if step.op == "update"], model)
    touched = {step.product_id for step in steps if step.entity in PARTS}
    if moved := {key: version for key, version in versions.items() if key in touched}:
        move_versions(moved)
    if connection.vendor == "postgresql":
        # Foreign keys are checked at the commit otherwise, when nothing can be left out any more.
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


def create(steps: Sequence[Step], model: type[Model]) -> None:
    """Insert rows with their former keys. Their versions go on, so that no client takes one for the former row."""
    rows = [model(**step.values) for step in steps]
    for row in rows:
        if hasattr(row, VERSION):
            setattr(row, VERSION, getattr(row, VERSION) + 1)
            setattr(row, MOVED, timezone.now())
    if rows:
        model._default_manager.bulk_create(rows)


def update(steps: Sequence[Step], model: type[Model]) -> None:
    if not steps:
        return
    batch = make_batch(model, "")
    values = {step.key: step.values for step in steps}
    for row in model._default_manager.filter(is_among("pk", values)).order_by("pk"):
        batch.put(row, values[row.pk], is_new=False)
    batch.save()
