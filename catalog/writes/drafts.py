"""A draft: what the input says about one product. Each value is checked, but not yet compared with the database.

A front end makes drafts: bodies.py from a request's body, catalog/imports from a file's rows. A member that the input
doesn't have is absent from the dicts, and keeps its value in the database. Nothing changes a draft. It isn't frozen,
since creating a frozen one takes 2 microseconds longer.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

type Values = dict[str, Any]


class Place(Protocol):
    """Where a draft is in its input."""

    def locate(self, member: str) -> str:
        """The place of a member for a sentence: `at /items/3/sku`, `on line 7`."""


@dataclass(frozen=True, slots=True)
class DraftFault:
    """An error in a draft: the member of the draft or of one of its parts, and the rule that it breaks."""

    place: Place
    member: str
    code: str
    detail: str


@dataclass(slots=True)
class VariantDraft:
    """A variant. A stored one is found by `id`, else by `sku`; a new one gets `sku`."""

    place: Place
    # Columns: barcode, options, price, weight, position; and `sku` if a stored variant gets a new SKU.
    fields: Values = field(default_factory=dict)
    id: int | None = None
    sku: str | None = None
    # The pieces at the location `main`; None changes nothing.
    on_hand: int | None = None
    # The input has no SKU, so one was made. A stored variant with the same options keeps its SKU.
    has_made_sku: bool = False


@dataclass(slots=True)
class ImageDraft:
    """An image. A stored one is found by `id`, else by `url`."""

    place: Place
    # Columns: alt, position, url.
    fields: Values
    id: int | None = None
    url: str | None = None


@dataclass(slots=True)
class ProductDraft:
    """A product. A stored one is found by `id`, else by `slug` if `is_found_by_slug`, else by `sku`."""

    place: Place
    id: int | None = None
    sku: str | None = None
    # The slug of a new product; if empty, it is made from the title.
    slug: str = ""
    is_found_by_slug: bool = False
    # Columns of the product; and `sku` if a stored product gets a new SKU.
    fields: Values = field(default_factory=dict)
    text: Values = field(default_factory=dict)
    # `brand` and `category`: slugs, or names if `Manner.makes_taxonomy`; None clears them.
    links: Values = field(default_factory=dict)
    # Merged into the stored attributes; the value None removes an attribute.
    attributes: Values = field(default_factory=dict)
    # The only variant, if the input has no list of variants, but has price or stock as members of the product.
    only: VariantDraft | None = None
    # None if the input has no such list.
    variants: tuple[VariantDraft, ...] | None = None
    images: tuple[ImageDraft, ...] | None = None

    @property
    def named_attributes(self) -> Values:
        """The attributes that the draft writes, either in place of the product's attributes or merged into them."""
        return self.attributes or self.fields.get("attributes", {})

    @property
    def key(self) -> str:
        """The name by which a person finds the product in the input: slug, SKU or id."""
        return self.slug if self.is_found_by_slug else self.sku or str(self.id)
