"""Steps in, rows out: a few statements for each table. A step that the database rejects is refused."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.crypto import get_random_string

from catalog.changes.entities import list_entities
from catalog.changes.tables import MOVED, VERSION
from catalog.changes.undo.histories import Reason, Step
from catalog.changes.undo.rows import list_unique, sort_entities
from catalog.models import ScheduledPrice
from catalog.prices.switching import take_back_prices
from catalog.writes.among import is_among
from catalog.writes.saving import UNKNOWN_PICTURE, make_batch, move_versions

# A change of their rows is a change of the product, for clients that send If-Match.
PARTS = ("variant", "image")


def take_steps(steps: Sequence[Step], versions: Mapping[int, int]) -> None:
    """Write the steps without a reason. If the database rejects them, halves until only the bad product is left out."""
    units = group_units(step for step in steps if not step.reason)
    take_units(list(units.values()), versions)


def group_units(steps: Any) -> dict[Any, list[Step]]:
    """Steps that go together: those of a product, or one row without a product; and those that swap unique values."""
    units: dict[Any, list[Step]] = defaultdict(list)
    homes: dict[Any, Any] = {}
    for step in steps:
        own = step.product_id or (step.entity, step.key)
        for value in list_values(step):
            join(units, homes, own, homes.setdefault(value, find_home(homes, own)))
        units[find_home(homes, own)].append(step)
    return units


def list_values(step: Step) -> list[tuple[str, str, Any]]:
    """The unique values that the step takes or gives back."""
    if step.op != "update":
        return []
    columns = [name for name in list_unique(list_entities()[step.entity]) if name in step.values]
    return [(step.entity, name, value) for name in columns for value in (step.values[name], step.present[name])]


def find_home(homes: dict[Any, Any], unit: Any) -> Any:
    while (above := homes.get(unit, unit)) != unit:
        unit = above
    return unit


def join(units: dict[Any, list[Step]], homes: dict[Any, Any], one: Any, other: Any) -> None:
    one, other = find_home(homes, one), find_home(homes, other)
    if one != other:
        homes[one] = other
        units[other] += units.pop(one, [])


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
        if keys and entity == "scheduled_price":
            take_back_prices(ScheduledPrice.objects.filter(is_among("pk", keys)))
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


def free_values(steps: Sequence[Step], model: type[Model]) -> None:
    """Give rows whose unique value another step needs a passing one: the database compares row by row, in any order."""
    for name in list_unique(model):
        changing = [step for step in steps if name in step.values]
        wanted = {step.values[name] for step in changing}
        holding = [step.key for step in changing if step.present[name] in wanted]
        batch, passing = make_batch(model, ""), get_random_string(12)
        for row in model._default_manager.filter(pk__in=holding).order_by("pk") if holding else ():
            batch.put(row, {name: f"undo-{passing}-{row.pk}"}, is_new=False)
        batch.save()


def find_values(step: Step) -> dict[str, Any]:
    """The columns to write. Of an image that gets its former URL back, workers find out width and thumbnails again."""
    return step.values | UNKNOWN_PICTURE if step.entity == "image" and "url" in step.values else step.values


def update(steps: Sequence[Step], model: type[Model]) -> None:
    if not steps:
        return
    free_values(steps, model)
    batch = make_batch(model, "")
    values = {step.key: find_values(step) for step in steps}
    for row in model._default_manager.filter(is_among("pk", values)).order_by("pk"):
        batch.put(row, values[row.pk], is_new=False)
    batch.save()
