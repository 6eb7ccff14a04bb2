"""The filters of products, variants, brands and categories, for lists and exports."""

from collections.abc import Collection, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Length
from django.forms import DecimalField, IntegerField
from django.utils.text import slugify
from django_filters import CharFilter, NumberFilter

from catalog.attributes import narrow_by_attributes
from catalog.models import Brand, Category, Location, Product, ScheduledPrice, Stock, Variant
from catalog.querysets import CategoryQuerySet, ProductQuerySet, VariantQuerySet
from catalog.search.words import MOST_WORDS, find_words
from catalog.tallies.proofs import note_proofs
from catalog.title_keys import Fold
from catalog.writes.texts import compose, list_forms
from catalog.writes.values import PRICE, RATING, BadValue, Number
from config.api.database.folding import fold
from config.api.problems.errors import InvalidParameter
from config.api.problems.near import suggest_near
from config.api.reads.filtering import (
    ChoicesFilter,
    FlagFilter,
    ListFilter,
    MomentFilter,
    SparseFilterSet,
    TextsFilter,
)
from config.api.writes.currencies import CURRENCIES

# The most ids or SKUs of a request.
MOST_KEYS = 200
GREATEST_ID = 2**63 - 1


class RuledField(DecimalField):
    """A number by its rule for writes. Django's own field accepts `1_000` and the digits of all scripts."""

    rule: Number

    def __init__(self, **options: Any) -> None:
        rule = self.rule
        super().__init__(min_value=0, max_value=rule.most, max_digits=rule.digits, decimal_places=2, **options)

    def to_python(self, value: Any) -> Any:
        try:
            return self.rule.read(value) if value else None
        except BadValue as error:
            raise ValidationError(f"{error.tell(value)}.") from error


class PriceField(RuledField):
    rule = PRICE


class PriceFilter(NumberFilter):
    """An amount of money, as in `12.50`."""

    field_class = PriceField


class RatingField(RuledField):
    rule = RATING


class RatingFilter(NumberFilter):
    """A rating, as in `4.5`."""

    field_class = RatingField


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


class IdsFilter(ListFilter, NumberFilter):
    """Ids, comma-separated: `1,2,3`."""

    field_class = IdField


CURRENCY_CHOICES = [(code, code) for code in sorted(CURRENCIES)]


class ProductFilters(SparseFilterSet):
    """Prices are in the row's own currency; times are RFC 3339. Rows match that have one value of each list."""

    prefixes = ("attr.",)

    # Texts, not a ModelChoiceFilter: that one's form lists the whole table, so browsers timed out where curl
    # took 0.4 s (RolnickLab/antenna#1391).
    brand = TextsFilter(method="keep_brands", label="Brands, by slug")
    brand_not = TextsFilter(method="drop_brands", label="Without these brands")
    category = TextsFilter(method="keep_subtrees", label="Categories, by slug, with all categories below them")
    category_not = TextsFilter(method="drop_subtrees", label="Without these categories and all below them")
    status = ChoicesFilter(choices=Product.Status.choices, label="Status; anonymous callers see active products only")
    status_not = ChoicesFilter(
        field_name="status", exclude=True, choices=Product.Status.choices, label="Without products of this status"
    )
    currency = ChoicesFilter(choices=CURRENCY_CHOICES, label="Currencies")
    price_min = PriceFilter(field_name="price", lookup_expr="gte", label="Minimum price, included")
    price_max = PriceFilter(field_name="price", lookup_expr="lte", label="Maximum price, included")
    on_sale = FlagFilter(method="keep_on_sale", label="Whether compare_at_price is above the price")
    rating_min = RatingFilter(field_name="rating", lookup_expr="gte", label="Least rating, included")
    in_stock = FlagFilter(field_name="in_stock", label="Whether at least one variant can be bought now")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte", label="Created at or after this time")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt", label="Created before, not at, this time")
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte", label="Changed at or after this time")
    updated_before = MomentFilter(field_name="updated_at", lookup_expr="lt", label="Changed before, not at, this time")
    id = IdsFilter(method="keep_ids", most=MOST_KEYS, label="Ids, comma-separated, at most 200")
    sku = TextsFilter(method="keep_skus", most=MOST_KEYS, label="SKUs of products, comma-separated, at most 200")
    slug = TextsFilter(method="keep_slugs", label="Slugs of products")
    barcode = TextsFilter(method="keep_barcodes", label="Barcodes of variants")
    # The last one: of a common word, hits are looked for among the rows that the others leave.
    search = CharFilter(
        method="keep_hits",
        label="Beginnings of words in SKU, title, brand or description; if no word matches, parts of words",
    )

    def filter_queryset(self, queryset: ProductQuerySet) -> ProductQuerySet:
        return note_proofs(super().filter_queryset(narrow_by_attributes(queryset, self.data)))

    def keep_brands(self, rows: ProductQuerySet, name: str, slugs: Sequence[str]) -> ProductQuerySet:
        return rows.filter(brand__in=find_ids("brand", Brand, slugs))

    def drop_brands(self, rows: ProductQuerySet, name: str, slugs: Sequence[str]) -> ProductQuerySet:
        return rows.exclude(brand__in=find_ids("brand.not", Brand, slugs))

    def keep_subtrees(self, rows: ProductQuerySet, name: str, slugs: Sequence[str]) -> ProductQuerySet:
        return rows.filter(category__in=find_subtrees("category", slugs))

    def drop_subtrees(self, rows: ProductQuerySet, name: str, slugs: Sequence[str]) -> ProductQuerySet:
        return rows.exclude(category__in=find_subtrees("category.not", slugs))

    def keep_on_sale(self, rows: ProductQuerySet, name: str, is_on_sale: bool) -> ProductQuerySet:
        reduced = Q(compare_at_price__gt=F("price"))
        return rows.filter(reduced if is_on_sale else ~reduced)

    def keep_ids(self, rows: ProductQuerySet, name: str, ids: Sequence[int]) -> ProductQuerySet:
        return rows.filter(pk__in=ids)

    def keep_skus(self, rows: ProductQuerySet, name: str, skus: Sequence[str]) -> ProductQuerySet:
        return rows.filter(sku__in=sorted(list_forms(skus)))

    def keep_slugs(self, rows: ProductQuerySet, name: str, slugs: Sequence[str]) -> ProductQuerySet:
        return rows.filter(slug__in=sorted(list_forms(slugs)))

    def keep_barcodes(self, rows: ProductQuerySet, name: str, barcodes: Sequence[str]) -> ProductQuerySet:
        return rows.filter(pk__in=Variant.objects.with_barcodes(barcodes).values("product"))

    def keep_hits(self, rows: ProductQuerySet, name: str, words: str) -> ProductQuerySet:
        read_words(name, words)
        # Best match first; the parameter `ordering` replaces this order.
        search = rows.read_search(rows.choose_text(words))
        is_narrowed = len(self.find_names(self.data)) > 1
        return (rows.matching_within(search) if is_narrowed else rows.matching(search)).by_rank(search)


class VariantFilters(SparseFilterSet):
    """Rows match that have one value of each list."""

    sku = TextsFilter(method="keep_skus", most=MOST_KEYS, label="SKUs of variants, comma-separated, at most 200")
    barcode = TextsFilter(method="keep_barcodes", label="Barcodes")
    product = IdsFilter(method="keep_products", most=MOST_KEYS, label="Ids of products, at most 200")
    price_min = PriceFilter(field_name="price", lookup_expr="gte", label="Minimum price, included")
    price_max = PriceFilter(field_name="price", lookup_expr="lte", label="Maximum price, included")
    in_stock = FlagFilter(method="keep_in_stock", label="Whether a piece can be bought now")
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte", label="Changed at or after this time")

    def keep_skus(self, rows: VariantQuerySet, name: str, skus: Sequence[str]) -> VariantQuerySet:
        return rows.filter(sku__in=sorted(list_forms(skus)))

    def keep_barcodes(self, rows: VariantQuerySet, name: str, barcodes: Sequence[str]) -> VariantQuerySet:
        return rows.with_barcodes(barcodes)

    def keep_products(self, rows: VariantQuerySet, name: str, ids: Sequence[int]) -> VariantQuerySet:
        return rows.filter(product__in=ids)

    def keep_in_stock(self, rows: VariantQuerySet, name: str, is_in_stock: bool) -> VariantQuerySet:
        # As for Product.in_stock: orders take from sellable locations.
        places = Location.objects.filter(sellable=True).order_by().values("code")
        free = Exists(Stock.objects.filter(variant=OuterRef("pk"), location__in=places, on_hand__gt=F("reserved")))
        return rows.filter(free if is_in_stock else ~free)


class ScheduledPriceFilters(SparseFilterSet):
    """Rows match that have one value of each list."""

    sku = TextsFilter(method="keep_skus", most=MOST_KEYS, label="SKUs of variants, comma-separated, at most 200")
    state = ChoicesFilter(choices=ScheduledPrice.State.choices, label="States")
    from_after = MomentFilter(field_name="starts_at", lookup_expr="gte", label="Begins at or after this time")
    from_before = MomentFilter(field_name="starts_at", lookup_expr="lt", label="Begins before, not at, this time")

    def keep_skus(self, rows: QuerySet[Any], name: str, skus: Sequence[str]) -> QuerySet[Any]:
        return rows.filter(variant__in=Variant.objects.filter(sku__in=sorted(list_forms(skus))))


class NameFilters(SparseFilterSet):
    """Finds the rows of a small list by their names. It reads all names: 2 microseconds each."""

    search = CharFilter(method="keep_named", label="Words of the name or parts of them, in any case, without accents")

    def keep_named(self, rows: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        words = read_words(name, fold(text))
        rows = rows.alias(folded_name=Fold(F("name")))
        return rows.filter(*(Q(folded_name__contains=word) for word in words))


class BrandFilters(NameFilters):
    """Brands by name."""


# The digits of an id in Category.path, and the most ids that a path can hold.
PATH_DIGITS = 10
GREATEST_DEPTH = 20


class CategoryFilters(NameFilters):
    """Categories by name and by their place in the tree."""

    parent = TextsFilter(method="keep_children", label="Categories, by slug: only what is directly below them")
    depth = ChoicesFilter(
        method="keep_depths",
        choices=[(str(depth), str(depth)) for depth in range(1, GREATEST_DEPTH + 1)],
        label="Levels of the tree; 1 is the top",
    )

    def keep_children(self, rows: CategoryQuerySet, name: str, slugs: Sequence[str]) -> CategoryQuerySet:
        return rows.filter(parent__in=find_ids(name, Category, slugs))

    def keep_depths(self, rows: CategoryQuerySet, name: str, depths: Sequence[str]) -> CategoryQuerySet:
        lengths = [PATH_DIGITS * int(depth) for depth in depths]
        return rows.alias(path_length=Length("path")).filter(path_length__in=lengths)


def read_words(parameter: str, text: str) -> list[str]:
    """The words of a search. Raises InvalidParameter if there are none, or more than MOST_WORDS."""
    if not (found := find_words(text)):
        raise InvalidParameter(parameter, "It must have a letter or a digit.")
    if len(found) > MOST_WORDS:
        raise InvalidParameter(parameter, f"It has {len(found)} words; {MOST_WORDS} is the most.", "Leave out some.")
    return found


def find_ids(parameter: str, model: type[Brand | Category], slugs: Sequence[str]) -> list[int]:
    """The ids of the rows. One query; raises InvalidParameter for a slug that no row has."""
    wanted = [compose(slug) for slug in slugs]
    found = dict(model.objects.filter(slug__in=wanted).values_list("slug", "pk"))
    require_slugs(parameter, model, wanted, found)
    return sorted(found.values())


def find_subtrees(parameter: str, slugs: Sequence[str]) -> list[int]:
    """The ids of the categories and of all below them. One query; raises InvalidParameter for an unknown slug.

    Literal ids, not a subselect: the planner then knows how common each id is, and tests them while it scans the
    index that orders the page (0.5 ms instead of 2.4 by created_at, 2.3 instead of 20.5 by price, 60,000 rows).
    """
    wanted = [compose(slug) for slug in slugs]
    found = dict(Category.objects.subtrees(wanted).values_list("slug", "pk"))
    require_slugs(parameter, Category, wanted, found)
    return sorted(found.values())


# The most slugs that a wrong one is compared with.
MOST_COMPARED = 200


def require_slugs(parameter: str, model: type[Brand | Category], wanted: Sequence[str], found: Collection[str]) -> None:
    """Raise InvalidParameter for the first slug that isn't found. The hint names the most similar ones."""
    for slug in wanted:
        if slug not in found:
            text = f"There is no {model._meta.verbose_name} with the slug {slug[:100]!r}."
            raise InvalidParameter(parameter, text, suggest_slug(model, slug))


def suggest_slug(model: type[Brand | Category], slug: str) -> str:
    # Many write the name, as in `Acme, Ltd`.
    meant = slugify(slug, allow_unicode=True) or slug
    # An index serves a beginning; nobody mistypes the first two letters often.
    similar = model.objects.filter(slug__startswith=meant[:2]).order_by("slug").values_list("slug", flat=True)
    near = suggest_near(meant, list(similar[:MOST_COMPARED]))
    return near or f"{model._meta.verbose_name_plural}/ lists them all."
