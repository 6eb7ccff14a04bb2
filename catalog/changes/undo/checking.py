"""Steps in; those that the database would reject, or that would delete what others wrote, are refused with a reason."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db.models import DB_CASCADE, Model

from catalog.changes.entities import list_entities
from catalog.changes.undo.histories import Reason, Step
from catalog.changes.undo.reading import Key, Reading
from catalog.changes.undo.rows import list_links, list_restorable, list_unique, sort_entities
from catalog.writes.among import is_among


def check_steps(steps: Collection[Step], reading: Reading, promised: Collection[Key], *, force: bool) -> None:
    """Sets the reason of each step that can't be taken. A few queries for each table.

    `promised` are rows that count as present.
    """
    for step in steps:
        guard_product(step, reading)
    for entity in sort_entities():
        check_children([step for step in steps if step.entity == entity and step.op == "delete"], reading)
    for step in steps if force else ():
        step.allow()
    for entity in sort_entities():
        written = [step for step in steps if step.entity == entity and step.op != "delete" and not step.reason]
        check_unique(list_entities()[entity], [step for step in steps if step.entity == entity], written)
        check_links(entity, written, steps, promised)


def guard_product(step: Step, reading: Reading) -> None:
    """A product takes all its rows along, so it isn't deleted if others changed any of them."""
    if (step.entity, step.op) == ("product", "delete") and not step.reason and reading.others.get(step.key):
        step.refuse(Reason.USED)


def check_children(deleted: Collection[Step], reading: Reading) -> None:
    """Rows that refer to a row to delete: it needs them gone (NEEDED), or takes them along (USED by others)."""
    others = set().union(*reading.others.values())
    for model, name, is_taken_along in list_children(deleted):
        entity = name_entity(model)
        rows = model._default_manager.filter(is_among(name, [step.key for step in deleted]))
        found: dict[int, set[int]] = {}
        for key, parent in rows.values_list("pk", name)[:10_000]:
            found.setdefault(parent, set()).add(key)
        for step in deleted:
            children = found.get(step.key, set())
            if not is_taken_along and children:
                step.refuse(Reason.NEEDED)
            elif not step.reason and any((entity, key) in others for key in children):
                step.refuse(Reason.USED)


def list_children(deleted: Collection[Step]) -> Iterator[tuple[type[Model], str, bool]]:
    """The tables that refer to the steps' table, the column, and whether the database deletes their rows, too."""
    for entity in {step.entity for step in deleted}:
        model = list_entities()[entity]
        for relation in model._meta.related_objects:
            field: Any = relation.field
            if name_entity(relation.related_model):
                yield relation.related_model, field.attname, relation.on_delete is DB_CASCADE


def name_entity(model: Any) -> str:
    """The entity of a table that an undo writes; "" for any other, such as lines of orders."""
    return next((entity for entity in list_restorable() if list_entities()[entity] is model), "")


def check_unique(model: type[Model], steps: Collection[Step], written: Collection[Step]) -> None:
    """Another row may have the SKU or slug by now, unless it changes, too."""
    own = {step.key for step in steps if not step.reason}
    for name in list_unique(model):
        wanted = {step.values[name]: step for step in written if name in step.values}
        rows = model._default_manager.filter(is_among(name, list(wanted))).values_list("pk", name)
        for key, value in rows:
            if key not in own:
                wanted[value].refuse(Reason.TAKEN, name)


def check_links(entity: str, written: Collection[Step], steps: Iterable[Step], promised: Iterable[Key]) -> None:
    """The row that a step refers to may be gone by now."""
    for name, other in list_links(entity).items():
        keys = {step.values[name] for step in written if step.values.get(name) is not None}
        rows = list_entities()[other]._default_manager.filter(is_among("pk", keys)).values_list("pk", flat=True)
        there = set(rows) | {step.key for step in steps if is_created(step, other)}
        there |= {key for named, key in promised if named == other}
        for step in written:
            if step.values.get(name) is not None and step.values[name] not in there:
                step.refuse(Reason.MISSING, name)


def is_created(step: Step, entity: str) -> bool:
    return step.entity == entity and step.op == "create" and not step.reason
