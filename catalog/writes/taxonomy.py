"""Brand names and category paths in, ids out. Missing ones are created; stored ones keep their names.

A brand is found by the slug of its name, so `Fresho`, `fresho ` and `FRESHO` are the same brand. A category is found
below its parent by name, else by slug. Its slug is made from the whole path, since names repeat under other parents.

A file may also have the slug itself. It tells brands of one name apart, and is the slug of a new brand or category. It
finds none of another name: who changes a name in a table, and leaves the slug, means the name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Q

from catalog.models import Brand, Category
from catalog.writes.slugs import fingerprint, make_slug

type Path = tuple[str, ...]

SLUG_MOST = {"brand": 220, "category": 500}


class BrandName(NamedTuple):
    name: str
    # The brand's slug, if the file has one.
    slug: str = ""

    def __str__(self) -> str:
        return self.name


class CategoryPath(NamedTuple):
    """The names from the top-level category down."""

    names: Path
    # The slug of the last one, if the file has one.
    slug: str = ""

    def __str__(self) -> str:
        return " > ".join(self.names)


@dataclass(slots=True)
class Taxonomy:
    """The ids of brands and categories by what the drafts have, and the numbers of new ones.

    Files have a BrandName or CategoryPath, bodies a slug.
    """

    brands: dict[Any, int] = field(default_factory=dict)
    categories: dict[Any, int] = field(default_factory=dict)
    brands_created: int = 0
    categories_created: int = 0

    def find_ids(self, links: Mapping[str, Any]) -> dict[str, int | None]:
        """The ids by the product's columns `brand_id` and `category_id`; None for a cleared or unknown one."""
        known: dict[str, dict[Any, int]] = {"brand": self.brands, "category": self.categories}
        return {f"{name}_id": known[name].get(link) for name, link in links.items()}


def resolve_taxonomy(brands: Iterable[BrandName], paths: Iterable[CategoryPath]) -> Taxonomy:
    """One query for the brands, one for the categories, and one more for each level that has new ones."""
    taxonomy = Taxonomy()
    resolve_brands(dict.fromkeys(brands), taxonomy)
    resolve_categories(dict.fromkeys(paths), taxonomy)
    return taxonomy


def resolve_brands(brands: Iterable[BrandName], taxonomy: Taxonomy) -> None:
    made = {brand: make_slug(brand.name, SLUG_MOST["brand"]) for brand in brands}
    ids, names = find_brands({*made.values(), *(text for brand in made for text in brand)})
    slugs = {brand: choose_slug(brand, slug, names) for brand, slug in made.items()}
    missing = {slug: names[slug] for slug in slugs.values() if slug not in ids}
    if missing:
        # Sorted by slug, to prevent deadlocks between imports. Brands that another import creates meanwhile are read.
        rows = [Brand(name=name, slug=slug) for slug, name in sorted(missing.items())]
        Brand.objects.bulk_create(rows, ignore_conflicts=True)
        ids |= find_brands(missing)[0]
    taxonomy.brands = {brand: ids[slug] for brand, slug in slugs.items()}
    taxonomy.brands_created = len(missing)


def choose_slug(brand: BrandName, made: str, names: dict[str, str]) -> str:
    """The slug of the brand. `names` has the names of stored and new brands by slug, and gets that of a new one."""
    if brand.slug and names.setdefault(brand.slug, brand.name) == brand.name:
        return brand.slug
    # A name that is a slug means that brand: our NDJSON has slugs. Staff may choose slugs with capitals.
    slug = brand.name if brand.name in names else made
    names.setdefault(slug, brand.name)
    return slug


def find_brands(slugs: Iterable[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Ids and names of the stored brands by slug."""
    rows = list(Brand.objects.filter(slug__in=set(slugs)).values_list("slug", "pk", "name"))
    return {slug: key for slug, key, _ in rows}, {slug: name for slug, _, name in rows}


def resolve_categories(paths: Iterable[CategoryPath], taxonomy: Taxonomy) -> None:
    slugs = {path.names: path.slug for path in paths if path.slug}
    # Each ancestor once. They are resolved level by level, since a child needs its parent's id.
    nodes = dict.fromkeys(path.names[:depth] for path in paths for depth in range(1, len(path.names) + 1))
    tree = CategoryTree(nodes, slugs)
    for depth in range(1, max(map(len, nodes), default=0) + 1):
        taxonomy.categories_created += tree.resolve_level([node for node in nodes if len(node) == depth])
    taxonomy.categories = {path: tree.ids[path.names] for path in paths}


class CategoryTree:
    """The stored categories that a batch's paths may mean, read by one query. `given` has the file's slugs."""

    def __init__(self, nodes: Iterable[Path], given: Mapping[Path, str]) -> None:
        self.ids: dict[Path, int] = {}
        self.given = given
        self.by_name: dict[tuple[int | None, str], int] = {}
        self.by_slug: dict[str, tuple[int | None, int]] = {}
        self.parents: dict[str, int | None] = {}
        names = {node[-1] for node in nodes}
        slugs = {slug for node in nodes for slug in list_slugs(node)} | {node[0] for node in nodes if len(node) == 1}
        slugs |= set(given.values())
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
        """The file's slug if it is free; else the plain one, unless a category with another parent has it:
        `Home & Garden` and `Home > Garden`.
        """
        parent, given = self.parent_of(node), self.given.get(node)
        if given and given not in self.parents:
            self.parents[given] = parent
            return given
        plain, apart = list_slugs(node)
        return plain if self.parents.setdefault(plain, parent) == parent else apart


def list_slugs(node: Path) -> tuple[str, str]:
    """The slug of the whole path, and the one to use if that is taken."""
    most = SLUG_MOST["category"]
    parts = [make_slug(name, most) for name in node]
    plain = make_slug("-".join(parts), most)
    return plain, f"{plain[: most - 9]}-{fingerprint('/'.join(parts))}"
