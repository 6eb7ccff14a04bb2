"""Brand names and category paths in, ids out. Missing ones are created; stored ones keep their names.

A brand is found by the slug of its name, so `Fresho`, `fresho ` and `FRESHO` are the same brand. A category is found
below its parent by name, else by slug. Its slug is made from the whole path, since names repeat under other parents.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from django.db.models import Q

from catalog.models import Brand, Category
from catalog.writes.slugs import fingerprint, make_slug

type Path = tuple[str, ...]

SLUG_MOST = {"brand": 220, "category": 500}


class BrandName(str):
    """A brand's name with the slug that it has elsewhere, which finds it before the slug of its name."""

    slug: str

    def __new__(cls, name: str, slug: str) -> Self:
        self = super().__new__(cls, name)
        self.slug = slug
        return self


@dataclass(slots=True)
class Taxonomy:
    """The ids of brands and categories by the names in the drafts, and the numbers of new ones."""

    brands: dict[str, int] = field(default_factory=dict)
    # By path (for files) or by slug (for bodies).
    categories: dict[Any, int] = field(default_factory=dict)
    brands_created: int = 0
    categories_created: int = 0

    def find_ids(self, links: Mapping[str, Any]) -> dict[str, int | None]:
        """The ids by the product's columns `brand_id` and `category_id`; None for a cleared or unknown one."""
        known: dict[str, dict[Any, int]] = {"brand": self.brands, "category": self.categories}
        return {f"{name}_id": known[name].get(link) for name, link in links.items()}


def resolve_taxonomy(brand_names: Iterable[str], paths: Iterable[Path]) -> Taxonomy:
    """One query for the brands, one for the categories, and one more for each level that has new ones."""
    taxonomy = Taxonomy()
    resolve_brands(dict.fromkeys(brand_names), taxonomy)
    resolve_categories(dict.fromkeys(paths), taxonomy)
    return taxonomy


def resolve_brands(names: Iterable[str], taxonomy: Taxonomy) -> None:
    slugs = {name: getattr(name, "slug", "") or make_slug(name, SLUG_MOST["brand"]) for name in names}
    # A name that is a stored slug means that brand: our own exports write slugs. Staff may choose slugs with capitals.
    ids = find_brands({*slugs, *slugs.values()})
    slugs = {name: name if name in ids else slug for name, slug in slugs.items()}
    missing = {slug: name for name, slug in reversed(slugs.items()) if slug not in ids}
    if missing:
        # Sorted by slug, to prevent deadlocks between imports. Brands that another import creates meanwhile are read.
        rows = [Brand(name=name, slug=slug) for slug, name in sorted(missing.items())]
        Brand.objects.bulk_create(rows, ignore_conflicts=True)
        ids |= find_brands(missing)
    taxonomy.brands = {name: ids[slug] for name, slug in slugs.items()}
    taxonomy.brands_created = len(missing)


def find_brands(slugs: Iterable[str]) -> dict[str, int]:
    return dict(Brand.objects.filter(slug__in=set(slugs)).values_list("slug", "pk"))


def resolve_categories(paths: Iterable[Path], taxonomy: Taxonomy) -> None:
    # Each ancestor once. They are resolved level by level, since a child needs its parent's id.
    nodes = dict.fromkeys(path[:depth] for path in paths for depth in range(1, len(path) + 1))
    tree = CategoryTree(nodes)
    for depth in range(1, max(map(len, nodes), default=0) + 1):
        taxonomy.categories_created += tree.resolve_level([node for node in nodes if len(node) == depth])
    taxonomy.categories = tree.ids


class CategoryTree:
    """The stored categories that a batch's paths may mean, read by one query."""

    def __init__(self, nodes: Iterable[Path]) -> None:
        self.ids: dict[Path, int] = {}
        self.by_name: dict[tuple[int | None, str], int] = {}
        self.by_slug: dict[str, tuple[int | None, int]] = {}
        self.parents: dict[str, int | None] = {}
        names = {node[-1] for node in nodes}
        slugs = {slug for node in nodes for slug in list_slugs(node)} | {node[0] for node in nodes if len(node) == 1}
        if names:
            # By name too: staff may have changed a category's slug.
            self.remember(Category.objects.filter(Q(slug__in=slugs) | Q(name__in=names)))

    def remember(self, rows: Iterable[Category]) -> None:
        for row in rows:
            self.by_name[row.parent_id, row.name] = row.pk
            self.by_slug[row.slug] = (row.parent_id, row.pk)
            self.parents[row.slug] = row.parent_id

    def resolve_level(self, nodes: list[Path]) -> int:
        """Find or create the nodes of one depth. Returns the number of new ones."""
        new: dict[str, Category] = {}
        for node in nodes:
            if not self.find(node):
                slug, parent = self.claim_slug(node), self.parent_of(node)
                # Two spellings of a name have one slug; the category gets the first spelling.
                new.setdefault(slug, Category(name=node[-1], parent_id=parent, slug=slug))
        if new:
            self.remember(Category.objects.bulk_create([new[slug] for slug in sorted(new)]))
        self.ids |= {node: found for node in nodes if (found := self.find(node))}
        return len(new)

    def parent_of(self, node: Path) -> int | None:
        return self.ids[node[:-1]] if len(node) > 1 else None

    def find(self, node: Path) -> int | None:
        parent = self.parent_of(node)
        if found := self.by_name.get((parent, node[-1])):
            return found
        if len(node) == 1 and node[0] in self.by_slug:
            # Our own exports write the slug of a category at any depth.
            return self.by_slug[node[0]][1]
        known = [self.by_slug[slug] for slug in list_slugs(node) if slug in self.by_slug]
        return next((pk for above, pk in known if above == parent), None)

    def claim_slug(self, node: Path) -> str:
        """The plain slug, unless a category with another parent has it: `Home & Garden` and `Home > Garden`."""
        plain, apart = list_slugs(node)
        return plain if self.parents.setdefault(plain, self.parent_of(node)) == self.parent_of(node) else apart


def list_slugs(node: Path) -> tuple[str, str]:
    """The slug of the whole path, and the one to use if that is taken."""
    most = SLUG_MOST["category"]
    parts = [make_slug(name, most) for name in node]
    plain = make_slug("-".join(parts), most)
    return plain, f"{plain[: most - 9]}-{fingerprint('/'.join(parts))}"
