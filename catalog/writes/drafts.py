"""A draft: what the input says about one product. Each value is checked, but not yet compared with the database.

A front end makes drafts: bodies.py from a request's body, catalog/imports from a file's rows. A member that the input
doesn't have is absent from the dicts, and keeps its value in the database. Nothing changes a draft. It isn't frozen,
since creating a frozen one takes 2 microseconds longer.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

type Values = dict[str, Any]


class Command(StrEnum):
    """What a row says to do with its product, if it isn't "create it or update it"."""

    NONE = ""
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


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
    # The pieces on hand by location. A location that isn't named keeps its pieces.
    pieces: dict[str, int] = field(default_factory=dict)
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
    """A product. A stored one is found by `id`, else by `slug` if `is_found_by_slug`, else by `sku`.

    A draft with none of these is found by the SKU of its first variant, else by `owner_sku`, and never makes a product.
    """

    place: Place
    id: int | None = None
    sku: str | None = None
    # The SKU of the product that gets the first variant, if the draft is found by this variant and there is none yet.
    owner_sku: str = ""
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
    # What the input says to do. "" means: create it or update it.
    command: Command = Command.NONE

    @property
    def named_attributes(self) -> Values:
        """The attributes that the draft writes, either in place of the product's attributes or merged into them."""
        return self.attributes or self.fields.get("attributes", {})

    @property
    def is_found_by_variant(self) -> bool:
        return self.id is None and self.sku is None and not self.is_found_by_slug and bool(self.variants)

    @property
    def key(self) -> str:
        """The name by which a person finds the product in the input: slug, SKU or id."""
        if self.is_found_by_slug:
            return self.slug
        if self.is_found_by_variant and self.variants:
            return self.variants[0].sku or ""
        return self.sku or str(self.id)
