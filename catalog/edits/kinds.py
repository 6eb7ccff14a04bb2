"""The kinds of edits: a row in, its new values out, or Refused with a sentence. Only `find_rows` runs queries."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from catalog.models import Attribute, Product, ScheduledPrice, Stock, Variant
from catalog.prices.scheduling import find_overlap, find_planned, say_overlap
from catalog.writes.among import is_among
from catalog.writes.drafts import Values
from catalog.writes.sentences import say_reserved, say_short
from catalog.writes.values import CENT, COUNT, MOST_INTEGER, PRICE, BadValue
from config.api.database.authorship import ACTOR

TAGS = "tags"
# Prices may end in this, as in 4.99.
ENDING = Decimal("0.99")


class Refused(Exception):
    """Why a row isn't edited: a sentence."""


@dataclass(frozen=True)
class Edit:
    """What is done to each row of `model` that belongs to the products."""

    entity: ClassVar[str] = "product"
    model: ClassVar[type[Model]] = Product
    # Beside the permission to change products.
    right: ClassVar[str] = "catalog.change_product"

    def list_rights(self) -> tuple[str, ...]:
        return (self.right,)

    def choose(self) -> QuerySet[Product] | None:
        """The products of an edit that chooses them itself; None if staff choose them.

        All of them are edited, also those that somebody changed since the preview.
        """
        return None

    def end(self) -> None:
        """What is left to do after the last product."""

    def find_rows(self, products: Sequence[Product], *, lock: bool) -> Sequence[Any]:
        """The rows to edit, in the order of their keys."""
        return products

    def find_source(self, row: Any) -> Any:
        """The row of `entity` whose value the preview shows. What somebody changed since isn't edited."""
        return row

    def look(self, values: Mapping[str, Any]) -> Any:
        """The one value that the edit changes, of a row's values."""
        raise NotImplementedError

    def compute(self, row: Any) -> Values:
        """The columns to write. Raises Refused or BadValue."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """A value of `look`, for people."""
        return "-" if value in (None, "", []) else str(value)

    def describe(self) -> str:
        """The edit in a few words."""
        raise NotImplementedError


@dataclass(frozen=True)
class ColumnEdit(Edit):
    """Sets a column of the product: its status, brand or category."""

    column: str
    value: Any
    text: str
    names: Mapping[Any, str]

    def look(self, values: Mapping[str, Any]) -> Any:
        return values[self.column]

    def compute(self, row: Any) -> Values:
        return {self.column: self.value}

    def show(self, value: Any) -> str:
        return self.names.get(value) or super().show(value)

    def describe(self) -> str:
        return f"{self.column.removesuffix('_id').capitalize()}: {self.text}"


@dataclass(frozen=True)
class AttributeEdit(Edit):
    """Sets an attribute, or removes it (None)."""

    name: str
    value: Any

    def look(self, values: Mapping[str, Any]) -> Any:
        return values["attributes"].get(self.name)

    def compute(self, row: Any) -> Values:
        return {"attributes": self.put(row.attributes, self.value)}

    def put(self, attributes: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The attributes with this one changed. Its place among them stays."""
        changed = {**attributes, self.name: value}
        return {name: one for name, one in changed.items() if name != self.name or one is not None}

    def show(self, value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value)) or "-"
        return str(value).lower() if isinstance(value, bool) else super().show(value)

    def describe(self) -> str:
        return f"{self.name}: {self.show(self.value)}" if self.value is not None else f"Remove {self.name}"


@dataclass(frozen=True)
class TagsEdit(AttributeEdit):
    """Adds and removes tags: texts in the list `tags` of the attributes."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def compute(self, row: Any) -> Values:
        present = row.attributes.get(TAGS) or []
        if not isinstance(present, list):
            raise Refused("Its tags aren't a list; edit this product by itself.")
        kept = [tag for tag in present if tag not in self.remove]
        return {"attributes": self.put(row.attributes, [*kept, *(tag for tag in self.add if tag not in kept)] or None)}

    def describe(self) -> str:
        parts = [f"{verb} {', '.join(tags)}" for verb, tags in (("add", self.add), ("remove", self.remove)) if tags]
        return f"Tags: {'; '.join(parts)}"


@dataclass(frozen=True)
class PriceEdit(Edit):
    """Sets the variants' prices, adds to them, changes them by per cent, or only rounds them to x.99."""

    entity: ClassVar[str] = "variant"
    model: ClassVar[type[Model]] = Variant
    right: ClassVar[str] = "catalog.change_variant"

    how: str
    amount: Decimal
    is_rounded: bool

    def find_rows(self, products: Sequence[Product], *, lock: bool) -> Sequence[Any]:
        return lock_if(Variant.objects.filter(is_among("product_id", [product.pk for product in products])), lock)

    def look(self, values: Mapping[str, Any]) -> Any:
        return values["price"]

    def compute(self, row: Any) -> Values:
        price = self.change(row.price).quantize(CENT, ROUND_HALF_UP)
        return {"price": PRICE.check(round_to_99(price) if self.is_rounded else price)}

    def change(self, price: Decimal) -> Decimal:
        match self.how:
            case "set":
                return self.amount
            case "add":
                return price + self.amount
            case "percent":
                return price * (100 + self.amount) / 100
        return price

    def describe(self) -> str:
        changes = {"set": f"{self.amount}", "add": f"{self.amount:+}", "percent": f"{self.amount:+} %"}
        parts = [changes.get(self.how, ""), "to the nearest x.99" if self.is_rounded else ""]
        return f"Price: {', '.join(filter(None, parts))}"


@dataclass(frozen=True)
class PlannedPriceEdit(PriceEdit):
    """Plans prices that the variants get at `begins`, and lose at `ends`. They are reckoned from the present ones."""

    model: ClassVar[type[Model]] = ScheduledPrice
    right: ClassVar[str] = "catalog.add_scheduledprice"

    begins: datetime
    ends: datetime | None

    def find_rows(self, products: Sequence[Product], *, lock: bool) -> Sequence[Any]:
        # Whoever plans prices locks the product, as has been done.
        variants = super().find_rows(products, lock=False)
        planned = find_planned([variant.pk for variant in variants])
        rows = [ScheduledPrice(variant=variant, price=variant.price) for variant in variants]
        for row in rows:
            row.others = planned.get(row.variant_id, ())  # type: ignore[attr-defined]  # for `compute`, which runs no query
        return rows

    def find_source(self, row: Any) -> Any:
        return row.variant

    def look(self, values: Mapping[str, Any]) -> Any:
        return values["price"], values.get("starts_at"), values.get("ends_at")

    def compute(self, row: Any) -> Values:
        if self.begins <= timezone.now():
            raise Refused("It would begin in the past: choose a later time, or none to change the price at once.")
        if other := find_overlap(row.others, self.begins, self.ends):
            raise Refused(say_overlap(other))
        times = {"starts_at": self.begins, "ends_at": self.ends, "due_at": self.begins}
        return super().compute(row) | times | {"author": ACTOR.get()}

    def show(self, value: Any) -> str:
        price, begins, ends = value
        return f"{price}{say_time(begins, ends) if begins else ''}"

    def describe(self) -> str:
        return f"{super().describe()}{say_time(self.begins, self.ends)}"


def say_time(begins: datetime, ends: datetime | None) -> str:
    return f" from {begins:%Y-%m-%d %H:%M}" + (f" until {ends:%Y-%m-%d %H:%M}" if ends else "")


def round_to_99(price: Decimal) -> Decimal:
    """The nearest price that ends in .99, at least 0.99; 10.49 becomes 10.99."""
    whole = (price - ENDING).quantize(Decimal(1), ROUND_HALF_UP)
    return max(whole, Decimal(0)) + ENDING


@dataclass(frozen=True)
class StockEdit(Edit):
    """Sets the pieces of each variant at a location, or adds to them. Variants without stock there get some."""

    entity: ClassVar[str] = "stock"
    model: ClassVar[type[Model]] = Stock
    right: ClassVar[str] = "catalog.change_stock"

    how: str
    pieces: int
    location: str
    reason: str

    def find_rows(self, products: Sequence[Product], *, lock: bool) -> Sequence[Any]:
        variants = Variant.objects.filter(is_among("product_id", [product.pk for product in products])).order_by("pk")
        by_key = {variant.pk: variant for variant in variants}
        found = Stock.objects.alias(place=Lower("location")).filter(is_among("variant_id", by_key), place=self.location)
        stored = {stock.variant_id: stock for stock in lock_if(found, lock)}
        rows = [stored.get(key) or Stock(variant_id=key, location=self.location) for key in by_key]
        for stock in rows:
            stock.variant = by_key[stock.variant_id]
        return rows

    def look(self, values: Mapping[str, Any]) -> Any:
        return values["on_hand"]

    def compute(self, row: Any) -> Values:
        level = self.pieces if self.how == "set" else row.on_hand + self.pieces
        if level < row.reserved:
            sentence = say_reserved(level, row.reserved)
            raise Refused(sentence if self.how == "set" else say_short(self.pieces, row.on_hand, row.reserved))
        COUNT.check(Decimal(level))
        # A reason that was given for an earlier change isn't this one's.
        return {"on_hand": level} | ({"reason": self.reason} if level != row.on_hand else {})

    def describe(self) -> str:
        number = f"{self.pieces:,}" if self.how == "set" else f"{self.pieces:+,}"
        return f"Stock at {self.location}: {number}"


def lock_if(rows: QuerySet[Any], lock: bool) -> list[Any]:
    ordered = rows.order_by("pk")
    return list(ordered.select_for_update(no_key=True) if lock else ordered)


# -- what people write, as values ------------------------------------------------------------------------------------

YES_OR_NO = {"true": True, "yes": True, "false": False, "no": False}
# A whole number as people write it; others stay decimals.
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)


def read_value(text: str, kind: str) -> Any:
    """The JSON value of an attribute that is declared as `kind`. Raises BadValue."""
    if kind == Attribute.Type.BOOLEAN:
        if text.lower() not in YES_OR_NO:
            raise BadValue("invalid", "is neither true nor false", "write true or false")
        return YES_OR_NO[text.lower()]
    if kind == Attribute.Type.NUMBER:
        try:
            return int(text) if WHOLE.fullmatch(text) and abs(int(text)) <= MOST_INTEGER else read_float(text)
        except ValueError:
            raise BadValue("invalid", "is not a number", "write digits and at most one dot, as in 4.5") from None
    return text


def read_float(text: str) -> float:
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text, re.ASCII) or len(text) > 30:
        raise ValueError(text)
    return float(text)


def split_tags(text: str, read: Any) -> tuple[str, ...]:
    parts: Collection[str] = [part for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(read(part) for part in parts))
