"""Names in, slugs out: letters of any alphabet, never empty, never too long, always the same for the same name."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from django.utils.text import slugify

from catalog.models import Product


def make_slug(name: str, most: int) -> str:
    """The slug of `name`; where nothing or too much is left, a fingerprint of the name keeps it apart from others."""
    slug = slugify(name, allow_unicode=True)
    if slug and len(slug) <= most:
        return slug
    return f"{slug[: most - 9]}-{fingerprint(name)}".strip("-")


def fingerprint(name: str) -> str:
    return blake2b(name.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True)
class Newcomer:
    """A product that isn't stored yet; `slug` is its own wish, or empty."""

    sku: str
    title: str
    slug: str = ""

    def list_slugs(self) -> list[str]:
        """What the slug may be, best first; the last one is this SKU's alone."""
        if self.slug:
            return [self.slug]
        title = make_slug(self.title, 140)
        with_sku = f"{title}-{make_slug(self.sku, 100)}"
        return [title, with_sku, f"{with_sku}-{fingerprint(self.sku)}"]


def choose_slugs(newcomers: Sequence[Newcomer]) -> dict[str, str]:
    """A free slug for each, by SKU: its own, else that of the title, else with the SKU behind. One query."""
    choices = {newcomer.sku: newcomer.list_slugs() for newcomer in newcomers}
    wanted = {slug for slugs in choices.values() for slug in slugs}
    taken = set(Product.objects.filter(slug__in=wanted).values_list("slug", flat=True)) if wanted else set()
    taken |= {newcomer.slug for newcomer in newcomers if newcomer.slug}
    chosen = {}
    for newcomer in newcomers:
        free = (slug for slug in choices[newcomer.sku] if slug not in taken)
        # Where even the last one is taken, the unique index refuses the row.
        chosen[newcomer.sku] = newcomer.slug or next(free, choices[newcomer.sku][-1])
        taken.add(chosen[newcomer.sku])
    return chosen
