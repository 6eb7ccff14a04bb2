"""Keys in, the histories of their rows out: a few queries for each batch, whatever its size.

The rows are locked first, so nobody changes them until the transaction ends. On PostgreSQL a committed change may still
wait for its position, so the inbox is read too.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Model, Q, QuerySet

from catalog.changes.entities import list_entities
from catalog.changes.models import Change
from catalog.changes.undo.chosen import Chosen
from catalog.changes.undo.histories import RowChange, RowHistory
from catalog.changes.undo.rows import list_restorable, read_instance, read_row, sort_entities
from catalog.models import Product, Variant
from catalog.writes.among import is_among

type Key = tuple[str, int]

WANTED = ("position", "entity", "entity_id", "op", "sku", "product_id", "request_id", "before")

WAITING = """
SELECT entity, entity_id, op, product_id, before::text FROM catalog_change_inbox
WHERE (entity = ANY(%s) AND entity_id = ANY(%s)) OR product_id = ANY(%s) ORDER BY id
"""


@dataclass
class Reading:
    """A batch: the histories of rows with a chosen change, and what others did to the products' rows since."""

    histories: dict[Key, RowHistory] = field(default_factory=dict)
    # The rows that others changed, by product.
    others: dict[int | None, set[Key]] = field(default_factory=lambda: defaultdict(set))
    # The versions of the locked products.
    versions: dict[int, int] = field(default_factory=dict)

    def add(self, change: Any, *, is_chosen: bool) -> None:
        key = (change.entity, change.entity_id)
        if not is_chosen:
            self.others[change.product_id].add(key)
        if change.entity not in list_restorable() or (key not in self.histories and not is_chosen):
            return  # nothing of it was chosen before, so what others did belongs to the row as it was
        history = self.histories.setdefault(key, RowHistory(*key))
        history.sku, history.product_id = change.sku or history.sku, change.product_id or history.product_id
        before = None if change.before is None else read_row(change.entity, change.before)
        history.changes.append(RowChange(change.op, before, is_chosen))


def read_products(chosen: Chosen, keys: Collection[int], since: int, *, lock: bool) -> Reading:
    """The rows of these products."""
    products = lock_rows(Product, keys, lock=lock)
    later = Change.objects.filter(is_among("product_id", keys), position__gte=since)
    found = list(later.only(*WANTED))
    # Stock that was deleted with its variant has lost its product.
    if stock := {change.entity_id for change in found if change.entity == "stock"}:
        lost = Change.objects.filter(is_among("entity_id", stock), entity="stock", product_id=None, position__gte=since)
        found += lost.only(*WANTED)
    reading = make_reading(chosen, found, keys, lock=lock)
    reading.versions = {product.pk: product.version for product in products}
    return reading


def read_rows(chosen: Chosen, keys: Collection[Key], since: int, *, lock: bool) -> Reading:
    """Rows that have no product, or that have lost it."""
    wanted = Q(pk=0)
    for entity, ids in group_keys(keys).items():
        wanted |= Q(is_among("entity_id", ids), entity=entity)
    found = list(Change.objects.filter(wanted, product_id=None, position__gte=since).only(*WANTED))
    if stock := {change.entity_id for change in found if change.entity == "stock"}:
        earlier = Change.objects.filter(is_among("product_id", find_products(found)), position__gte=since)
        found += [change for change in earlier.filter(entity="stock").only(*WANTED) if change.entity_id in stock]
    return make_reading(chosen, found, (), lock=lock)


def find_products(changes: Iterable[Any]) -> set[int]:
    variants = {change.before["variant_id"] for change in changes if change.entity == "stock" and change.before}
    return set(Variant.objects.filter(is_among("pk", variants)).values_list("product_id", flat=True))


def make_reading(chosen: Chosen, changes: list[Any], products: Collection[int], *, lock: bool) -> Reading:
    reading = Reading()
    for change in sorted(changes, key=lambda change: change.position):
        reading.add(change, is_chosen=chosen.has(change))
    for entity, ids in group_keys(reading.histories).items():
        for row in lock_rows(list_entities()[entity], ids, lock=lock):
            reading.histories[entity, row.pk].present = read_instance(row)
    for change in list_waiting(reading, products):
        reading.add(change, is_chosen=False)
    return reading


def list_waiting(reading: Reading, products: Collection[int]) -> list[Change]:
    """Committed changes without a position. They came after the chosen ones, which had all got theirs."""
    if connection.vendor != "postgresql" or not reading.histories:
        return []
    entities, ids = zip(*reading.histories, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [list(set(entities)), list(set(ids)), list(products)])
        return [
            Change(entity=entity, entity_id=key, op=op, product_id=product, before=before and json.loads(before))
            for entity, key, op, product, before in cursor.fetchall()
        ]


def lock_rows(model: type[Model], keys: Collection[int], *, lock: bool) -> list[Any]:
    rows: QuerySet[Any] = model._default_manager.filter(is_among("pk", keys)).order_by("pk")
    return list(rows.select_for_update(no_key=True) if lock else rows)


def group_keys(keys: Iterable[Key]) -> dict[str, list[int]]:
    """The ids by entity; each entity after those that its rows refer to."""
    grouped: dict[str, list[int]] = defaultdict(list)
    for entity, key in keys:
        grouped[entity].append(key)
    return {entity: grouped[entity] for entity in sort_entities() if entity in grouped}
