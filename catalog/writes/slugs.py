"""Names in, slugs out: letters of any alphabet, never empty or too long, the same slug for the same name."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b

from django.utils.text import slugify

from catalog.models import Product
from catalog.writes.among import is_among


def make_slug(name: str, most: int) -> str:
    """The slug of `name`, at most `most` characters. An empty or too long one gets a fingerprint, to be unique."""
    slug = slugify(name, allow_unicode=True)
    if slug and len(slug) <= most:
        return slug
    return f"{slug[: most - 9]}-{fingerprint(name)}".strip("-")


def fingerprint(name: str) -> str:
    return blake2b(name.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True)
class Newcomer:
    """A product that isn't stored yet. `slug` is the slug that its input asks for, or empty."""

    sku: str
    title: str
    slug: str = ""

    def propose_slugs(self) -> Iterator[str]:
        """Candidates for the slug, best first. The last one is unique to the SKU."""
        if self.slug:
            yield self.slug
            return
        title = make_slug(self.title, 140)
        yield title
        with_sku = f"{title}-{make_slug(self.sku, 100)}"
        yield with_sku
        yield f"{with_sku}-{fingerprint(self.sku)}"


def choose_slugs(newcomers: Sequence[Newcomer]) -> dict[str, str]:
    """A free slug for each product, by SKU: its own, else the title's, else the title's with the SKU.

    One query, and one more for each round of candidates that are taken. Most titles' slugs are free, so candidates are
    made one at a time (8 microseconds each).
    """
    chosen: dict[str, str] = {}
    taken = {newcomer.slug for newcomer in newcomers if newcomer.slug}
    left = [(newcomer, newcomer.propose_slugs()) for newcomer in newcomers]
    while left:
        wishes = [(newcomer, slugs, slug) for newcomer, slugs in left if (slug := next(slugs, None))]
        taken |= find_taken({slug for _, _, slug in wishes})
        left = []
        for newcomer, slugs, slug in wishes:
            # If even the last one is taken, the unique index rejects the row.
            chosen[newcomer.sku] = slug
            if slug in taken and slug != newcomer.slug:
                left.append((newcomer, slugs))
            taken.add(slug)
    return chosen


def find_taken(slugs: Set[str]) -> set[str]:
    return set(Product.objects.filter(is_among("slug", slugs)).values_list("slug", flat=True)) if slugs else set()
