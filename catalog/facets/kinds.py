"""The kinds of facets. Each says which parameters are its own, how SQL counts its values, and how they are shown.

The count beside a value is the number of rows that the list would have with this value as the facet's only choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

from catalog.facets.counts import Read, RowSet
from catalog.facets.dialects import Dialect
from catalog.filters import GREATEST_DEPTH, PATH_DIGITS
from catalog.models import Attribute
from catalog.tallies.reading import WHOLE_SCOPE, write_numbers
from catalog.tallies.triggers import BOUNDS
from config.api.reads.projection import quote_text

type Member = dict[str, Any]

# Each gives value, label, rank, first, drawn; `order` sorts by code points.
GROUPS = """
SELECT {key}, sum(first) AS first, sum(drawn) AS drawn FROM {rows} WHERE {key} IS NOT NULL GROUP BY {key}"""
# The same from tallies.
TALLIES = "SELECT CAST(key AS {type}) AS {key}, number AS first, 0 AS drawn FROM ({numbers}) n"
BRANDS = """
SELECT b.slug AS value, b.name AS label, b.slug{order} AS rank, o.first, o.drawn
FROM ({groups}) o JOIN catalog_brand b ON b.id = o.brand_id"""
# The ids of the categories above stand in the path. Depths that no path has would be joined with each category.
CATEGORIES = """
SELECT c.slug AS value, c.name AS label, c.slug{order} AS rank, a.first, a.drawn FROM (
    SELECT CAST(substr(c.path, d.depth * {digits} - {digits} + 1, {digits}) AS bigint) AS id,
           sum(o.first) AS first, sum(o.drawn) AS drawn
    FROM ({groups}) o JOIN catalog_category c ON c.id = o.category_id
    JOIN (
        SELECT column1 AS depth FROM (VALUES {depths}) AS numbered
        WHERE column1 <= (SELECT max(length(path)) / {digits} FROM catalog_category)
    ) d ON d.depth <= length(c.path) / {digits}
    GROUP BY 1
) a JOIN catalog_category c ON c.id = a.id"""
# Of an expression over the row's columns.
EXPRESSIONS = """
SELECT CAST(key AS text) AS value, '' AS label, key{order} AS rank, first, drawn FROM ({groups}) o"""
# Of prices.
ENDS = "SELECT CAST({low} AS text) AS low, CAST({high} AS text) AS high FROM {rows}"
WHOLE_ENDS = """
SELECT CAST((SELECT min(price) FROM catalog_product WHERE status = 'active') AS text) AS low,
       CAST((SELECT max(price) FROM catalog_product WHERE status = 'active') AS text) AS high"""
CATEGORY_ENDS = """(
    SELECT (SELECT min(price) FROM catalog_product WHERE status = 'active' AND category_id = c.id) AS low,
           (SELECT max(price) FROM catalog_product WHERE status = 'active' AND category_id = c.id) AS high
    FROM catalog_category c WHERE c.id IN ({scope})
) e"""
ROWS = "(SELECT {expression} AS {key}, first, drawn FROM {rows}) r"


class Value(NamedTuple):
    """A value, how many rows have it, and how many values its facet has in all."""

    value: str
    label: str
    read: Read
    values: int


@dataclass(frozen=True)
class Facet:
    """`chosen` are the values that the request filters by, with their labels; they are always shown."""

    name: str
    chosen: Mapping[str, str] = field(default_factory=dict)
    # If the rows are all active products, or all of some categories: what tallies have of them (catalog/tallies/).
    scope: Sequence[int] = ()
    # The columns of Product that `count_values` reads.
    columns: ClassVar[tuple[str, ...]] = ()
    # The column of `count_values` by which a chosen value is found.
    key: ClassVar[str] = "value"
    # The type of keys, which tallies hold as texts.
    key_type: ClassVar[str] = "text"
    # Whether tallies may lack values of it.
    may_lack: ClassVar[bool] = False
    # How many values are read at least, however few are shown.
    least_size: ClassVar[int] = 0

    @property
    def own(self) -> tuple[str, ...]:
        """The parameters that choose values of this facet. The facet is counted without them."""
        return (self.name,)

    @property
    def kind(self) -> str:
        """Its name in tallies."""
        return self.name

    @property
    def is_in_tallies(self) -> bool:
        """Whether they count all values that may be shown."""
        return True

    @property
    def keys(self) -> Sequence[Any]:
        """The chosen values, as they are in the column `key`."""
        return list(self.chosen)

    def count_values(self, rows: str, dialect: Dialect) -> str:
        """SQL: value, label, rank (among values that are equally frequent), first, drawn; a row for each value."""
        raise NotImplementedError

    def count_keys(self, key: str, expression: str, rows: str) -> str:
        """SQL: key, first, drawn. `expression` is of the rows' columns, `key` the name that it gets."""
        if self.scope:
            numbers = write_numbers(quote_text(self.kind), self.scope)
            return TALLIES.format(type=self.key_type, key=key, numbers=numbers)
        return GROUPS.format(key=key, rows=ROWS.format(expression=expression, key=key, rows=rows))

    def count_expression(self, expression: str, rows: str, order: str = "") -> str:
        return EXPRESSIONS.format(groups=self.count_keys("key", expression, rows), order=order)

    def show(self, values: Sequence[Value], rows: RowSet, size: int) -> Member:
        """`{"values": [{"value", "label", "count", "count_relation"}, …], "more": 12}`"""
        shown = [self.show_value(value.value, value.label, value.read, rows) for value in values]
        known = {member["value"] for member in shown}
        missing = [(value, label) for value, label in self.chosen.items() if value not in known]
        shown.sort(key=lambda member: -member["count"])
        zeros = [self.show_value(value, label, Read(), rows) for value, label in missing]
        return {"values": shown + zeros, "more": max((value.values for value in values), default=0) - len(shown)}

    def show_value(self, value: str, label: str, read: Read, rows: RowSet) -> Member:
        count, relation = rows.count(read)
        return {"value": value, "label": label or value, "count": count, "count_relation": relation}


class BrandFacet(Facet):
    columns = ("brand_id",)
    key_type = "bigint"

    def count_values(self, rows: str, dialect: Dialect) -> str:
        groups = self.count_keys("brand_id", "brand_id", rows)
        return BRANDS.format(groups=groups, order=dialect.order)


class CategoryFacet(Facet):
    """A product counts for its category and for all above it."""

    columns = ("category_id",)
    key_type = "bigint"

    def count_values(self, rows: str, dialect: Dialect) -> str:
        groups = self.count_keys("category_id", "category_id", rows)
        depths = ", ".join(f"({depth})" for depth in range(1, GREATEST_DEPTH + 1))
        return CATEGORIES.format(groups=groups, order=dialect.order, digits=PATH_DIGITS, depths=depths)


class StockFacet(Facet):
    columns = ("in_stock",)
    LABELS: ClassVar = {"true": "In stock", "false": "Sold out"}

    def count_values(self, rows: str, dialect: Dialect) -> str:
        return self.count_expression("CASE WHEN in_stock THEN 'true' ELSE 'false' END", rows)

    def show_value(self, value: str, label: str, read: Read, rows: RowSet) -> Member:
        return super().show_value(value, self.LABELS[value], read, rows)


@dataclass(frozen=True)
class AttributeFacet(Facet):
    """Values of the attribute's declared type, as its filter finds them."""

    type: str = Attribute.Type.TEXT
    bounds: tuple[str, ...] = ()
    columns: ClassVar = ("attributes",)
    may_lack: ClassVar = True

    @property
    def attribute(self) -> str:
        return self.name.removeprefix("attr.")

    @property
    def own(self) -> tuple[str, ...]:
        return (self.name, *self.bounds)

    @property
    def kind(self) -> str:
        return f"{self.type}.{self.attribute}"

    def count_values(self, rows: str, dialect: Dialect) -> str:
        value = dialect.write_value(self.attribute, self.type)
        return self.count_expression(value, rows, self.choose_order(dialect))

    def choose_order(self, dialect: Dialect) -> str:
        return dialect.order


class NumberFacet(AttributeFacet):
    key = "rank"
    key_type = "numeric"

    def choose_order(self, dialect: Dialect) -> str:
        return ""  # by number

    @property
    def keys(self) -> Sequence[Any]:
        numbers = map(Decimal, self.chosen)
        return [int(number) if number == int(number) else float(number) for number in numbers]

    def show_value(self, value: str, label: str, read: Read, rows: RowSet) -> Member:
        # SQLite writes 450.0.
        return super().show_value(write_number(Decimal(value)), "", read, rows)


class RatingFacet(Facet):
    """Least ratings: `4` counts the products with 4 and more. All ratings are read, since there are at most 501."""

    columns = ("rating",)
    own = ("rating_min",)
    least_size = 501
    keys = ()
    STARS: ClassVar = ("1", "2", "3", "4")

    @property
    def is_in_tallies(self) -> bool:
        return all(Decimal(text) == int(Decimal(text)) for text in self.chosen)  # by whole stars

    def count_values(self, rows: str, dialect: Dialect) -> str:
        return self.count_expression("rating", rows)

    def show(self, values: Sequence[Value], rows: RowSet, size: int) -> Member:
        least = {text: sum_from(Decimal(text), values) for text in dict.fromkeys((*self.STARS, *self.chosen))}
        found = [text for text in least if any(least[text])]
        found.sort(key=lambda text: (-rows.count(least[text])[0], Decimal(text)))
        kept = [text for place, text in enumerate(found) if place < size or text in self.chosen]
        kept += [text for text in self.chosen if text not in kept]
        shown = [self.show_value(text, f"{text} and up", least[text], rows) for text in kept]
        return {"values": shown, "more": len([text for text in found if text not in kept])}


def sum_from(least: Decimal, values: Iterable[Value]) -> Read:
    return sum((value.read for value in values if Decimal(value.value) >= least), Read())


CENT = Decimal("0.01")


class PriceFacet(Facet):
    """Ranges from 0.00 to 0.99, 1.00 to 2.49, 2.50 to 4.99, 5.00 to 9.99, 10.00 to 24.99 and so on.

    Both ends are included, so they are what `price_min` and `price_max` take.
    """

    columns = ("price",)
    own = ("price_min", "price_max")
    keys = ()

    def write_ends(self, rows: str) -> str:
        """SQL: the lowest and the highest price, as texts. With a scope, of all its products, by an index."""
        if not self.scope:
            return ENDS.format(low="min(price)", high="max(price)", rows=rows)
        if self.scope == WHOLE_SCOPE:
            return WHOLE_ENDS
        of_each = CATEGORY_ENDS.format(scope=", ".join(map(str, self.scope)))
        return ENDS.format(low="min(low)", high="max(high)", rows=of_each)

    def count_values(self, rows: str, dialect: Dialect) -> str:
        cases = " ".join(f"WHEN price < {bound:f} THEN {place}" for place, bound in enumerate(BOUNDS[1:]))
        return self.count_expression(f"CASE {cases} ELSE {len(BOUNDS) - 1} END", rows)

    def show(self, values: Sequence[Value], rows: RowSet, size: int) -> Member:
        ranges = sorted(values, key=lambda value: int(value.value))
        more = max((value.values for value in values), default=0) - len(ranges)
        return {"ranges": [self.show_range(int(each.value), each.read, rows) for each in ranges], "more": more}

    def show_range(self, place: int, read: Read, rows: RowSet) -> Member:
        count, relation = rows.count(read)
        low, high = LIMITS[place]
        return {"from": low, "to": high, "count": count, "count_relation": relation}


# The ends of each range, as texts with two places.
LIMITS = [(f"{low:.2f}", f"{high - CENT:.2f}") for low, high in pairwise((*BOUNDS, Decimal(10) ** 10))]


def write_number(number: Decimal) -> str:
    return f"{number.normalize():f}"
