"""Described changes in, a sentence for people for each out: who, when, what, from what to what."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog.changes.entities import list_entities
from catalog.changes.history import describe_changes, name_actors
from catalog.changes.models import Change
from catalog.changes.tables import MOVED, VERSION
from catalog.changes.undo.rows import list_links
from catalog.models import Product
from catalog.writes.among import is_among
from config.api.database.leases import ClaimedRow

# Columns that a sentence names; the page of the change has all.
MOST_COLUMNS = 3
# Characters of a value.
LONGEST_VALUE = 60
# Columns that say nothing to people.
SILENT: tuple[str, ...] = (VERSION, MOVED, "created_at", "title_key", "path", "lowest_price_30_days")
# How workers hand a job to each other.
SILENT += tuple(field.name for field in ClaimedRow._meta.get_fields())

# Rows that people know by their product or variant.
PARTS = {"text": "the text", "stock": "the stock", "image": "an image"}

type Names = Mapping[tuple[str, int], str]


@dataclass(frozen=True)
class Told:
    """A change as people read it."""

    who: str
    sentence: str
    # False for an update that only a row below it has caused, which has a sentence of its own.
    says_something: bool


# A described change and its SKU or number in, its own sentence out; "" if it is told as others are.
type Teller = Callable[[Mapping[str, Any], str], str]

TELLERS: dict[str, Teller] = {}


def register_teller(entity: str, teller: Teller) -> None:
    """Called by the app of the entity in its `ready()`."""
    TELLERS[entity] = teller


def tell_changes(changes: Sequence[Change]) -> dict[int, Told]:
    """By position. A handful of queries for any number of changes."""
    described = describe_changes([change.pk for change in changes])
    actors, names = name_actors(row["actor"] for row in described), name_linked(described)
    products = name_products({change.product_id for change in changes if change.product_id and not change.sku})
    skus = {change.pk: change.sku or products.get(change.product_id, "") for change in changes}
    return {
        row["position"]: Told(actors[row["actor"]], tell_change(row, skus[row["position"]], names), says_something(row))
        for row in described
    }


def says_something(change: Mapping[str, Any]) -> bool:
    return change["op"] != Change.Op.UPDATE or change["before"] is None or bool(list_told(change["before"]))


def tell_change(change: Mapping[str, Any], sku: str, names: Names) -> str:
    teller = TELLERS.get(change["entity"])
    return (teller(change, sku) if teller else "") or write_sentence(change, sku, names)


def write_sentence(change: Mapping[str, Any], sku: str, names: Names) -> str:
    """`Changed the price of variant TEA-1 from 4.50 to 5.00.`"""
    before, after = change["before"] or {}, change["after"] or {}
    what = name_row(change, sku, before or after)
    match change["op"]:
        case Change.Op.CREATE:
            return f"Added {what}."
        case Change.Op.DELETE:
            return f"Deleted {what}."
        case Change.Op.TRUNCATE:
            return f"Emptied the whole table of {change['entity']} rows."
    if change["before"] is None:
        return f"Changed {what}; the row before it isn't kept."
    parts = [write_part(change["entity"], name, before, after, names) for name in list_told(before)]
    if not parts:
        return f"Changed something that belongs to {what}."
    more = f", and {len(parts) - MOST_COLUMNS} more" if len(parts) > MOST_COLUMNS else ""
    return f"Changed {what}: {'; '.join(parts[:MOST_COLUMNS])}{more}."


def list_told(row: Mapping[str, Any]) -> list[str]:
    """The columns that say something to people."""
    return [name for name in row if name not in SILENT]


def list_differences(change: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """`("brand_id", "brand", "nothing", "Acme")`: each column that differs, before and after; `-` for no row."""
    before, after, names = change["before"] or {}, change["after"] or {}, name_linked([change])

    def cell(row: Mapping[str, Any], name: str) -> str:
        return tell(follow(change["entity"], name, row[name], names)) if name in row else "-"

    return [(name, name_column(name), cell(before, name), cell(after, name)) for name in before | after]


def name_column(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def write_part(entity: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any], names: Names) -> str:
    if isinstance(before[name], dict) and isinstance(after.get(name), dict):
        return write_members(name, before[name], after[name])
    old, new = (show(entity, name, row.get(name), names) for row in (before, after))
    return f"{name_column(name)} from {old} to {new}"


def write_members(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The members of a JSON column that differ."""
    differing = [member for member in {**before, **after} if before.get(member) != after.get(member)]
    told = [f"{member} from {cut(before.get(member))} to {cut(after.get(member))}" for member in differing]
    return f"{name}: {', '.join(told[:MOST_COLUMNS])}"


def show(entity: str, name: str, value: Any, names: Names) -> str:
    return cut(follow(entity, name, value, names))


def follow(entity: str, name: str, value: Any, names: Names) -> Any:
    """The name of the row that a column refers to; the value itself of other columns."""
    # A later release may log tables that this one doesn't know.
    other = list_links(entity).get(name) if entity in list_entities() else None
    return names.get((other, value), value) if other and value is not None else value


def tell(value: Any) -> str:
    if value in (None, "", {}, []):
        return "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{member}: {tell(one)}" for member, one in value.items())
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(map(tell, value))
    return "yes" if value is True else "no" if value is False else str(value)


def cut(value: Any) -> str:
    text = tell(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def name_row(change: Mapping[str, Any], sku: str, row: Mapping[str, Any]) -> str:
    """`the stock of TEA-1`, `the brand Acme`, `image 7`."""
    entity, name = change["entity"], row.get("name")
    if entity in PARTS:
        return f"{PARTS[entity]} of {sku or 'a variant that is gone'}"
    return f"the {entity.replace('_', ' ')} {sku or name or '#{}'.format(change['entity_id'])}"


def name_products(keys: Collection[int]) -> dict[int | None, str]:
    """The SKUs of products, also of deleted ones, for changes that don't name one. At most two queries."""
    if not keys:
        return {}
    found: dict[int | None, str] = dict(Product.objects.filter(pk__in=keys).values_list("pk", "sku"))
    if gone := set(keys) - found.keys():
        deleted = Change.objects.filter(product_id__in=gone, entity="product", op=Change.Op.DELETE)
        found |= dict(deleted.values_list("product_id", "sku"))
    return found


def name_linked(described: Iterable[Mapping[str, Any]]) -> Names:
    """The names of rows that the changes refer to, such as a product's brand; a query for each table."""
    wanted: dict[str, set[int]] = {}
    for change in described:
        for row in (change["before"] or {}, change["after"] or {}):
            for column, other in (list_links(change["entity"]) if change["entity"] in list_entities() else {}).items():
                if row.get(column) is not None:
                    wanted.setdefault(other, set()).add(row[column])
    return {
        (entity, row.pk): str(row)
        for entity, keys in wanted.items()
        if entity != "product"
        for row in list_entities()[entity]._default_manager.filter(is_among("pk", keys))
    }
