"""A batch of products in; what the edit would do to each of their rows out, then written.

A row is refused if its value isn't the one of the preview any more: somebody changed it meanwhile, as the change log
tells. So nobody's work is overwritten by a person who hasn't seen it.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from django.db import connection

from catalog.changes.models import Change
from catalog.changes.undo.rows import read_instance, read_row
from catalog.edits.kinds import TAGS, Edit, Refused, lock_if
from catalog.models import Product, Variant
from catalog.writes.among import is_among
from catalog.writes.batches import is_same
from catalog.writes.drafts import Values
from catalog.writes.saving import make_batch, move_versions
from catalog.writes.values import BadValue

# People narrow lists by these. If one of them changed after the preview, the product may be no longer in the list.
NARROWING: Mapping[str, Callable[[Values], Any]] = {
    "status": itemgetter("status"),
    "brand": itemgetter("brand_id"),
    "category": itemgetter("category_id"),
    TAGS: lambda values: values["attributes"].get(TAGS),
}
SINCE = "Somebody changed it since the preview, from {before} to {now}."
MOVED = "Somebody changed the product's {column} since the preview, so it may not belong to the selection any more."
MADE = "Somebody added it since the preview."
NOT_KEPT = "An import wrote it since the preview."

WAITING = """
SELECT entity, entity_id, op, before::text FROM catalog_change_inbox
WHERE product_id = ANY(%s) AND entity = ANY(%s) ORDER BY id
"""

type Key = tuple[str, int]
# A row's values before its first change since the preview; None if there was no row, or if the log didn't keep it.
type Earlier = Mapping[Key, tuple[str, Values | None]]


@dataclass(slots=True)
class Proposal:
    """A row with its values before and after, or the reason why it isn't edited."""

    row: Any
    sku: str
    product_id: int
    before: str
    after: str = ""
    values: Values | None = None
    reason: str = ""
    is_changed: bool = False


def propose(edit: Edit, keys: Collection[int], since: int, *, lock: bool, narrows: bool) -> list[Proposal]:
    """What the edit does to the rows of these products; with `lock` nobody else changes them in this transaction."""
    products = lock_if(Product.objects.filter(is_among("pk", keys)), lock)
    rows = edit.find_rows(products, lock=lock)
    earlier = read_earlier(edit, [product.pk for product in products], since) if edit.choose() is None else {}
    moved = {product.pk: find_move(product, earlier) for product in products} if narrows else {}
    return [build_proposal(edit, row, earlier, moved) for row in rows]


def build_proposal(edit: Edit, row: Any, earlier: Earlier, moved: Mapping[int, str]) -> Proposal:
    present = read_instance(row)
    sku, product_id = name_row(row)
    proposal = Proposal(row, sku, product_id, edit.show(edit.look(present)))
    proposal.reason = moved.get(product_id, "") or find_change(edit, edit.find_source(row), earlier)
    if not proposal.reason:
        fill(proposal, edit, present)
    return proposal


def name_row(row: Any) -> tuple[str, int]:
    """The SKU and the product's id."""
    if isinstance(row, Product):
        return row.sku, row.pk
    variant = row if isinstance(row, Variant) else row.variant
    return variant.sku, variant.product_id


def fill(proposal: Proposal, edit: Edit, present: Values) -> None:
    try:
        values = edit.compute(proposal.row)
    except Refused as refusal:
        proposal.reason = str(refusal)
    except BadValue as error:
        proposal.reason = f"The result {error}."
    else:
        proposal.values, proposal.after = values, edit.show(edit.look(present | values))
        proposal.is_changed = any(not is_same(present[name], value) for name, value in values.items())


# -- what others did since the preview ---------------------------------------------------------------------------


def read_earlier(edit: Edit, keys: Collection[int], since: int) -> Earlier:
    entities = ["product"] if edit.entity == "product" else ["product", edit.entity]
    changes = Change.objects.filter(is_among("product_id", keys), position__gt=since, entity__in=entities)
    found: dict[Key, tuple[str, Values | None]] = {}
    for entity, key, op, before in [
        *changes.order_by("position").values_list("entity", "entity_id", "op", "before"),
        *list_waiting(keys, entities),
    ]:
        found.setdefault((entity, key), (op, None if before is None else read_row(entity, before)))
    return found


def list_waiting(keys: Collection[int], entities: Sequence[str]) -> Iterator[tuple[str, int, str, Any]]:
    """Committed changes without a position, later than those that have one."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [list(keys), list(entities)])
        for entity, key, op, before in cursor.fetchall():
            yield entity, key, op, before and json.loads(before)


def find_change(edit: Edit, row: Any, earlier: Earlier) -> str:
    """Why the row isn't as it was in the preview; "" if its value still is."""
    op, before = earlier.get((edit.entity, row.pk), ("", None))
    if not op:
        return ""
    if before is None:
        return MADE if op == Change.Op.CREATE else NOT_KEPT
    then, now = edit.look(before), edit.look(read_instance(row))
    return "" if is_same([then], [now]) else SINCE.format(before=edit.show(then), now=edit.show(now))


def find_move(product: Product, earlier: Earlier) -> str:
    """Why the product may not be one of those that the filter showed."""
    op, before = earlier.get(("product", product.pk), ("", None))
    if not op or before is None:
        return NOT_KEPT if op else ""
    present = read_instance(product)
    moved = [name for name, look in NARROWING.items() if look(before) != look(present)]
    return MOVED.format(column=" and ".join(moved)) if moved else ""


# -- writing -----------------------------------------------------------------------------------------------------


def write_proposals(edit: Edit, proposals: Sequence[Proposal]) -> None:
    """Write the changed rows: a few statements. A change of a variant is one of its product, for `If-Match`."""
    changed = [proposal for proposal in proposals if proposal.is_changed and proposal.values is not None]
    versions = {}
    if edit.model is Variant:
        keys = {proposal.product_id for proposal in changed}
        versions = dict(Product.objects.filter(is_among("pk", keys)).values_list("pk", "version"))
    batch = make_batch(edit.model, "")
    for proposal in changed:
        batch.put(proposal.row, proposal.values or {}, is_new=proposal.row.pk is None)
    batch.save()
    if versions:
        move_versions(versions)
