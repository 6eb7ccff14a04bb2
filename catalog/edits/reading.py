"""What the form says in, an Edit out; BadEdit names the fields that are wrong."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from catalog.edits.kinds import (
    TAGS,
    AttributeEdit,
    ColumnEdit,
    Edit,
    PlannedPriceEdit,
    PriceEdit,
    StockEdit,
    TagsEdit,
    read_value,
    split_tags,
)
from catalog.edits.merging import MERGE, read_merge
from catalog.locations import list_undeclared, say_undeclared
from catalog.models import Brand, Category, Product
from catalog.querysets import MAIN
from catalog.writes.declared import read_types
from catalog.writes.values import (
    ATTRIBUTE,
    COUNT,
    DELTA,
    LOCATION,
    NAME,
    PRICE,
    REASON,
    BadValue,
    Line,
    read_number,
)

VALUE = Line(500)
# A change by so many per cent makes a price a hundred times as high.
MOST_PERCENT = 9_900
# What `set`, `add` and the others ask of people.
PRICE_WAYS = {
    "percent": "Change by per cent",
    "add": "Add an amount (with - take it off)",
    "set": "Set all to one price",
    "round": "Only round",
}
STOCK_WAYS = {"set": "Set to this number", "add": "Add pieces (with - take them off)"}

type Given = Mapping[str, Any]


class BadEdit(Exception):
    """`(field, sentence)`: what is wrong with the form."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field, self.sentence = field, sentence


def read_edit(given: Given) -> Edit:
    """`{"edit": "price", "price_how": "percent", "amount": "5"}` as an Edit. May run a query."""
    return KINDS[given["edit"]][1](given)


def read(field: str, given: Given, rule: Callable[[Any], Any]) -> Any:
    text = str(given.get(field) or "").strip()
    try:
        return rule(text)
    except BadValue as error:
        raise BadEdit(field, f"{error.tell(text)}.") from None


def read_status(given: Given) -> Edit:
    if not (status := given.get("status")):
        raise BadEdit("status", "Choose a status.")
    labels = {value: str(label) for value, label in Product.Status.choices}
    return ColumnEdit("status", status, labels[status], labels)


def read_brand(given: Given) -> Edit:
    return read_link("brand", Brand, given)


def read_category(given: Given) -> Edit:
    return read_link("category", Category, given)


def read_link(name: str, model: Any, given: Given) -> Edit:
    key = given.get(name) or None
    row = model.objects.filter(pk=key).first() if key else None
    if key and row is None:
        raise BadEdit(name, f"There is no such {name} any more; choose another.")
    text = str(getattr(row, "breadcrumb", "") or row) if row else "none"
    return ColumnEdit(f"{name}_id", row and row.pk, text, Names(model, {row.pk: text} if row else {}))


class Names(dict[Any, str]):
    """The names of rows by key; each that is asked for is read once."""

    def __init__(self, model: Any, known: Mapping[Any, str]) -> None:
        super().__init__(known)
        self.model = model

    def get(self, key: Any, default: Any = None) -> Any:
        if key is not None and key not in self:
            row = self.model.objects.filter(pk=key).first()
            self[key] = str(getattr(row, "breadcrumb", "") or row) if row else f"#{key}"
        return super().get(key, default)


def read_tags(given: Given) -> Edit:
    add, remove = (read(name, given, lambda text: split_tags(text, NAME.read)) for name in ("add_tags", "remove_tags"))
    if not add and not remove:
        raise BadEdit("add_tags", "Name a tag to add or to remove.")
    if both := set(add) & set(remove):
        raise BadEdit("remove_tags", f"Add or remove {', '.join(sorted(both))}, not both.")
    return TagsEdit(TAGS, None, add, remove)


def read_attribute(given: Given) -> Edit:
    name = read("attribute", given, ATTRIBUTE.read)
    if name == TAGS:
        raise BadEdit("attribute", "Tags are a list; choose Tags above.")
    text = read("value", given, VALUE.read)
    kind = read_types([name]).get(name, "")
    return AttributeEdit(name, read("value", given, lambda text: read_value(text, kind)) if text else None)


def read_price(given: Given) -> Edit:
    how, is_rounded = given.get("price_how") or "percent", bool(given.get("to_99"))
    if how == "round":
        amount, is_rounded = Decimal(0), True
    else:
        amount = read("amount", given, PRICE.read if how == "set" else read_change)
    if how == "percent" and not -100 <= amount <= MOST_PERCENT:
        raise BadEdit("amount", f"Give -100 to {MOST_PERCENT:,} per cent.")
    begins, ends = (read(name, given, read_moment) for name in ("begins", "ends"))
    if ends and (begins is None or ends <= begins):
        raise BadEdit("ends", "Give a time after the one in From, or none for no end.")
    return PlannedPriceEdit(how, amount, is_rounded, begins, ends) if begins else PriceEdit(how, amount, is_rounded)


def read_moment(text: str) -> datetime | None:
    """A time as people or browsers write it, in UTC; None for an empty one."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise BadValue("invalid", "is no date and time", "write one as in 2026-11-27 08:00") from None
    return moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def read_change(text: str) -> Decimal:
    remedy = "write digits and at most one dot, as in 5 or -2.50"
    number = read_number(text, remedy)
    if abs(number) >= 10**10 or round(number, 4) != number:
        raise BadValue("invalid", "is too long a number", remedy)
    return number


def read_stock(given: Given) -> Edit:
    how = given.get("stock_how") or "set"
    pieces = read("pieces", given, COUNT.read if how == "set" else DELTA.read)
    location = read("location", {"location": given.get("location") or MAIN}, LOCATION.read)
    if list_undeclared([location]):
        raise BadEdit("location", say_undeclared(location))
    return StockEdit(how, pieces, location, read("reason", given, REASON.read))


KINDS: Mapping[str, tuple[str, Callable[[Given], Edit]]] = {
    "status": ("Status", read_status),
    "brand": ("Brand", read_brand),
    "category": ("Category", read_category),
    "tags": ("Tags", read_tags),
    "attribute": ("Attribute", read_attribute),
    "price": ("Price", read_price),
    "stock": ("Stock", read_stock),
    MERGE: ("Merge", read_merge),
}
