"""What a writer says about one product, each value checked by itself and not yet compared with the database.

A front end makes drafts: bodies.py of an API's body, catalog/imports of a file's rows. A member that isn't named is
absent from the dicts, and stays as it is in the database. Nobody changes a draft; it isn't frozen, since that makes
each take 2 microseconds longer.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

type Values = dict[str, Any]


class Place(Protocol):
    """Where a draft stands in its input."""

    def locate(self, member: str) -> str:
        """For a sentence: `at /items/3/sku`, `on line 7`."""


@dataclass(frozen=True, slots=True)
class DraftFault:
    """Why a draft can't be written: a member of the draft, or of a part of it, and the rule that it breaks."""

    place: Place
    member: str
    code: str
    detail: str


@dataclass(slots=True)
class VariantDraft:
    """A stored variant is found by `id` or by `sku`; a new one gets `sku`."""

    place: Place
    # Columns: barcode, options, price, weight, position, and `sku` where a stored one is to get another.
    fields: Values = field(default_factory=dict)
    id: int | None = None
    sku: str | None = None
    # Pieces at the location `main`; None leaves them as they are.
    on_hand: int | None = None
    # The input gave no SKU; a stored variant of the same options keeps the SKU that it has.
    has_made_sku: bool = False


@dataclass(slots=True)
class ImageDraft:
    """A stored image is found by `id` or by `url`."""

    place: Place
    # Columns: alt, position, url.
    fields: Values
    id: int | None = None
    url: str | None = None


@dataclass(slots=True)
class ProductDraft:
    """A stored product is found by `id`, or by `slug` where the front end says so, else by `sku`."""

    place: Place
    id: int | None = None
    sku: str | None = None
    # Of a new product; empty where it is to be made of the title.
    slug: str = ""
    is_found_by_slug: bool = False
    # Columns of the product, and `sku` where a stored one is to get another.
    fields: Values = field(default_factory=dict)
    text: Values = field(default_factory=dict)
    # `brand` and `category`, None where cleared: slugs, or names where the front end makes what is missing.
    links: Values = field(default_factory=dict)
    # Merged into what is there; None takes a name away.
    attributes: Values = field(default_factory=dict)
    # The only variant, which has no list: its price and stock stand beside the product's title.
    only: VariantDraft | None = None
    # None where the input has no list of them.
    variants: tuple[VariantDraft, ...] | None = None
    images: tuple[ImageDraft, ...] | None = None

    @property
    def key(self) -> str:
        """What a person looks for in the input."""
        return self.slug if self.is_found_by_slug else self.sku or str(self.id)
