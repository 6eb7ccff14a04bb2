"""Who may see which row, and what narrows it; every read of the catalogue starts here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import connections
from django.db.models import FETCH_RAISE, F, QuerySet, Subquery
from django.db.models.expressions import RawSQL

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

    from catalog.models import Brand, Category, Image, Product, Stock, Variant

type Caller = AbstractBaseUser | AnonymousUser

# Past this many hits a rank says little, and sorting them all is what makes searches slow.
SEARCH_HITS = 1_000


class ProductQuerySet(QuerySet["Product"]):
    def visible_to(self, caller: Caller) -> Self:
        """Every product for who may view products by Django's permissions, active ones for anybody else."""
        if caller.has_perm("catalog.view_product"):
            return self.all()
        return self.only_active()

    def only_active(self) -> Self:
        return self.filter(status="active")

    def of_brand(self, slug: str) -> Self:
        # A subselect: a join to the brand would sort the whole brand instead of reading its index in order.
        brands = self.model._meta.get_field("brand").related_model._default_manager
        return self.filter(brand_id=Subquery(brands.filter(slug=slug).values("pk")))

    def in_category(self, slug: str) -> Self:
        """Products of the category and of everything below it."""
        categories = self.model._meta.get_field("category").related_model._default_manager
        return self.filter(category_id__in=categories.subtree(slug).values("pk"))

    def matching(self, words: str) -> Self:
        """Products whose SKU, title, brand or description has a word that begins with each of `words`."""
        return self.filter(pk__in=search_hits(self, words))

    def for_reading(self) -> Self:
        """A forgotten select_related or prefetch_related raises instead of asking once a row."""
        return self.fetch_mode(FETCH_RAISE)


class VariantQuerySet(QuerySet["Variant"]):
    def visible_to(self, caller: Caller) -> Self:
        # 404 rather than 403 for the variants of a draft: a refusal would tell that it exists.
        if caller.has_perm("catalog.view_product"):
            return self.all()
        return self.filter(product__status="active")

    def for_reading(self) -> Self:
        return self.fetch_mode(FETCH_RAISE)


class ImageQuerySet(QuerySet["Image"]):
    def for_reading(self) -> Self:
        return self.fetch_mode(FETCH_RAISE)


class StockQuerySet(QuerySet["Stock"]):
    def reserve_units(self, units: int) -> int:
        """Take `units` (at least 1) from each row that has them free; the number of rows that had."""
        # The condition stands in the UPDATE: between a SELECT and an UPDATE a second buyer takes the same unit.
        free = self.filter(on_hand__gte=F("reserved") + units)
        return free.update(reserved=F("reserved") + units)


class BrandQuerySet(QuerySet["Brand"]):
    def for_reading(self) -> Self:
        return self.fetch_mode(FETCH_RAISE)


class CategoryQuerySet(QuerySet["Category"]):
    def subtree(self, slug: str) -> Self:
        """The category and everything below it; nothing for an unknown slug."""
        root = self.filter(slug=slug).values_list("path", flat=True).first()
        return self.filter(path__startswith=root) if root else self.none()

    def for_reading(self) -> Self:
        return self.fetch_mode(FETCH_RAISE)


def search_hits(products: ProductQuerySet, words: str) -> RawSQL:
    """The ids of the best SEARCH_HITS products, as a subselect; `words` needs at least one letter or digit."""
    terms = "".join(letter if letter.isalnum() else " " for letter in words).split()
    if connections[products.db].vendor == "sqlite":
        match = " ".join(f'"{term}"*' for term in terms)
        # bm25's weights stand for title (and SKU), brand, description; the smallest is the best.
        return RawSQL(
            "SELECT rowid FROM catalog_search WHERE catalog_search MATCH %s"
            " ORDER BY bm25(catalog_search, 8, 4, 1), rowid LIMIT %s",
            (match, SEARCH_HITS),
        )
    query = " & ".join(f"{term}:*" for term in terms)
    return RawSQL(
        "SELECT product_id FROM (SELECT product_id, search FROM catalog_producttext"
        " WHERE search @@ to_tsquery('simple', %s) LIMIT %s) hit"
        " ORDER BY ts_rank(search, to_tsquery('simple', %s)) DESC, product_id",
        (query, SEARCH_HITS, query),
    )
