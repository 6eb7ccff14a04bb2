"""The filters of products, for the list and the export."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models.fields.json import KeyTransform
from django.forms import DecimalField, IntegerField
from django_filters import CharFilter, ChoiceFilter, NumberFilter

from catalog.models import Attribute, Product
from catalog.querysets import ProductQuerySet
from catalog.search import MOST_WORDS, find_words
from catalog.writes.texts import compose, list_forms
from catalog.writes.values import NUMBER, PRICE, BadValue
from config.api.problems.errors import InvalidParameter, UnknownParameter
from config.api.reads.filtering import FlagFilter, ListFilter, MomentFilter, SparseFilterSet, name_choices

GREATEST_LIST = 200
GREATEST_ID = 2**63 - 1


class PriceField(DecimalField):
    """A price by the rule for writes. Django's own field accepts `1_000` and the digits of all scripts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_digits=PRICE.digits, decimal_places=2, **options)

    def to_python(self, value: Any) -> Any:
        try:
            return PRICE.read(value) if value else None
        except BadValue as error:
            raise ValidationError(f"{error.tell(value)}.") from error


class PriceFilter(NumberFilter):
    """An amount of money, as in `12.50`."""

    field_class = PriceField


class IdField(IntegerField):
    """Accepts ASCII digits only. Python's own parser also accepts `1e2` and `1_0`."""

    def to_python(self, value: Any) -> Any:
        text = str(value).strip() if value else ""
        if not text:
            return None
        if not (text.isascii() and text.isdigit()):
            raise ValidationError(f"{text[:20]!r} is not an id: ids are whole numbers.")
        # SQLite can't compare integers of more than 64 bits, and no row has one. Cutting the text keeps int() fast.
        return min(int(text.lstrip("0")[:20] or "0"), GREATEST_ID)


class IdInFilter(ListFilter, NumberFilter):
    """Ids, comma-separated: `1,2,3`."""

    field_class = IdField


class TextInFilter(ListFilter, CharFilter):
    """Texts, comma-separated: `a,b`."""


class ProductFilters(SparseFilterSet):
    """Prices are in the row's own currency; times are RFC 3339."""

    prefixes = ("attr.",)

    # A text, not a ModelChoiceFilter: that one's form lists the whole table, so browsers timed out where curl
    # took 0.4 s (RolnickLab/antenna#1391).
    brand = CharFilter(method="keep_brand", label="Brand, by slug")
    category = CharFilter(method="keep_subtree", label="Category, by slug, with all categories below it")
    status = ChoiceFilter(
        choices=Product.Status.choices,
        label="Status; anonymous callers see active products only",
        error_messages=name_choices(Product.Status.choices),
    )
    price_min = PriceFilter(field_name="price", lookup_expr="gte", label="Minimum price, included")
    price_max = PriceFilter(field_name="price", lookup_expr="lte", label="Maximum price, included")
    in_stock = FlagFilter(field_name="in_stock", label="Whether at least one variant can be bought now")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte", label="Created at or after this time")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt", label="Created before, not at, this time")
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte", label="Changed at or after this time")
    id = IdInFilter(method="keep_ids", label="Ids, comma-separated, at most 200")
    sku = TextInFilter(method="keep_skus", label="SKUs of products, comma-separated, at most 200")
    search = CharFilter(
        method="keep_hits",
        label="Beginnings of words in SKU, title, brand or description; if no word matches, parts of words",
    )

    def filter_queryset(self, queryset: ProductQuerySet) -> ProductQuerySet:
        rows: ProductQuerySet = super().filter_queryset(queryset)
        return self.keep_attributes(rows)

    def keep_brand(self, rows: ProductQuerySet, name: str, slug: str) -> ProductQuerySet:
        return rows.of_brand(compose(slug))

    def keep_subtree(self, rows: ProductQuerySet, name: str, slug: str) -> ProductQuerySet:
        return rows.in_category(compose(slug))

    def keep_ids(self, rows: ProductQuerySet, name: str, ids: Sequence[int | None]) -> ProductQuerySet:
        check_list(name, ids)
        return rows.filter(pk__in=[number for number in ids if number is not None])

    def keep_skus(self, rows: ProductQuerySet, name: str, skus: Sequence[str]) -> ProductQuerySet:
        check_list(name, skus)
        return rows.filter(sku__in=sorted(list_forms(skus)))

    def keep_hits(self, rows: ProductQuerySet, name: str, words: str) -> ProductQuerySet:
        if not (found := find_words(words)):
            raise InvalidParameter(name, "It must have a letter or a digit.")
        if len(found) > MOST_WORDS:
            raise InvalidParameter(name, f"It has {len(found)} words; {MOST_WORDS} is the most.", "Leave out some.")
        # Best match first; the parameter `ordering` replaces this order.
        return rows.matching(words).by_rank(words)

    def keep_attributes(self, rows: ProductQuerySet) -> ProductQuerySet:
        """Applies `attr.NAME=value` for declared attributes. One query reads their types."""
        asked = {name[5:]: text for name, text in self.data.items() if name.startswith("attr.") and text}
        if not asked:
            return rows
        types = dict(Attribute.objects.values_list("name", "type"))
        if unknown := asked.keys() - types.keys():
            raise UnknownParameter([f"attr.{name}" for name in sorted(unknown)], [f"attr.{name}" for name in types])
        wanted = {name: read_value(name, types[name], text) for name, text in asked.items()}
        return keep_values(rows, wanted)


def check_list(name: str, values: Sequence[Any]) -> None:
    if len(values) > GREATEST_LIST:
        raise InvalidParameter(name, f"It has {len(values)} values; at most {GREATEST_LIST} are allowed.")


def read_value(name: str, type_: str, text: str) -> str | bool | int | float:
    """Converts `text` to a JSON value of the attribute's declared type. Raises InvalidParameter."""
    if type_ == Attribute.Type.TEXT:
        return text
    if type_ == Attribute.Type.BOOLEAN:
        if text not in ("true", "false"):
            raise InvalidParameter(f"attr.{name}", f"{text[:20]!r} is not true or false.")
        return text == "true"
    if not NUMBER.fullmatch(text):
        raise InvalidParameter(f"attr.{name}", f"{text[:20]!r} is not a number.")
    number = Decimal(text)
    if len(text) > 40 or abs(number) > 2**63:
        raise InvalidParameter(f"attr.{name}", f"{text[:20]!r} is not a number of at most 64 bits.")
    return int(number) if number == int(number) else float(number)


def keep_values(rows: ProductQuerySet, wanted: dict[str, Any]) -> ProductQuerySet:
    if connections[rows.db].vendor == "postgresql":
        # One containment test for all attributes; a GIN index serves it.
        return rows.filter(attributes__contains=wanted)
    for name, value in wanted.items():
        # Not attributes__NAME: Django would read a name like `a__gt` as a lookup.
        rows = rows.alias(**{f"attribute_{name}": KeyTransform(name, "attributes")})
        rows = rows.filter(**{f"attribute_{name}": value})
    return rows
