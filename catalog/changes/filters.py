"""The filters of a webhook: which products' events it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from catalog.models import Brand, Category, Product
from config.api.problems.errors import MOST_NAMED, Fault, InvalidBody
from config.api.problems.near import suggest

# The most values of one filter.
MOST_VALUES = 200
# The columns of a product that filters look at.
COLUMNS = ("brand", "category", "status")


@dataclass(frozen=True)
class ProductFilter:
    """The ids and statuses of the products that are kept, by column. A column that isn't filtered by is missing."""

    kept: Mapping[str, frozenset[Any]]

    @classmethod
    def check(cls, filters: Mapping[str, Any]) -> dict[str, list[str]]:
        """The filters as lists. Raises InvalidBody for a name or a value that doesn't exist."""
        lists = {name: value if isinstance(value, list) else [value] for name, value in filters.items()}
        faults = [fault for name, values in lists.items() for fault in find_faults(name, values)]
        if faults:
            unknown = [name for name in filters if name not in COLUMNS]
            raise InvalidBody(faults[:MOST_NAMED], suggest(unknown[0], COLUMNS) if unknown else "")
        return lists

    @classmethod
    def read(cls, filters: Mapping[str, Sequence[str]]) -> Self:
        """A query for each of brand and category."""
        return cls({name: READERS[name](values) for name, values in filters.items()})

    @staticmethod
    def show(product: Any) -> dict[str, Any]:
        """The columns that `keeps` looks at, as the change log names them."""
        if product is None:
            return {}
        return {"brand": product.brand_id, "category": product.category_id, "status": product.status}

    def keeps(self, state: Mapping[str, Any]) -> bool:
        return all(state.get(column) in values for column, values in self.kept.items())


def find_faults(name: str, values: Sequence[Any]) -> list[Fault]:
    place = f"/filters/{name}"
    if name not in COLUMNS:
        return [Fault(place, "unknown_member", f"There is no filter {name!r}.")]
    if not values or len(values) > MOST_VALUES or not all(map(is_word, values)):
        return [Fault(place, "invalid", f"Give a text, or a list of 1 to {MOST_VALUES} texts.")]
    known = KNOWN[name](values)
    return [Fault(place, "invalid", f"{value!r} doesn't exist.") for value in values if value not in known]


def is_word(value: Any) -> bool:
    # PostgreSQL has no text with a NUL.
    return isinstance(value, str) and value != "" and "\0" not in value


def list_slugs(model: Any, slugs: Sequence[str]) -> frozenset[str]:
    return frozenset(model.objects.filter(slug__in=slugs).values_list("slug", flat=True))


KNOWN: Mapping[str, Any] = {
    "brand": lambda slugs: list_slugs(Brand, slugs),
    "category": lambda slugs: list_slugs(Category, slugs),
    "status": lambda _: frozenset(Product.Status.values),
}


def read_brands(slugs: Sequence[str]) -> frozenset[int]:
    return frozenset(Brand.objects.filter(slug__in=slugs).values_list("pk", flat=True))


def read_categories(slugs: Sequence[str]) -> frozenset[int]:
    """The categories and all below them."""
    return frozenset(Category.objects.all().subtrees(slugs).values_list("pk", flat=True))


READERS: Mapping[str, Any] = {"brand": read_brands, "category": read_categories, "status": frozenset}
