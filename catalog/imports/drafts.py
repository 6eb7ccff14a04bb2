"""What a file says about one product, checked but not yet compared with the database.

A field that the file doesn't name is absent from the dicts, and stays as it is in the database.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that isn't imported: the line where it begins, its SKU or handle, and why."""

    line: int
    key: str
    reason: str


class BadRow(Exception):
    """A row with at least one bad value; `refusals` has one entry for each of them."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__(refusals[0].reason)
        self.refusals = refusals


@dataclass(frozen=True, slots=True)
class VariantDraft:
    line: int
    sku: str
    # Among barcode, options, price, weight, position.
    fields: dict[str, Any]
    # None leaves the stock as it is.
    stock: int | None = None
    # The file gave no SKU; one of the same options keeps the SKU that it has.
    has_made_sku: bool = False


@dataclass(frozen=True, slots=True)
class ImageDraft:
    url: str
    position: int
    alt: str | None = None


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """`brand` is a name, `category` the names from the root down; both stand in `links`, empty where cleared."""

    line: int
    sku: str
    # Given by the file; Shopify's products are found by it, others by SKU.
    slug: str = ""
    is_found_by_slug: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)
    # Merged into what is there; None takes a name away.
    attributes: dict[str, Any] = field(default_factory=dict)
    variants: tuple[VariantDraft, ...] = ()
    # False where the only variant is the product itself, as in a plain row.
    has_variant_rows: bool = False
    images: tuple[ImageDraft, ...] = ()

    @property
    def key(self) -> str:
        """What a person looks for in the file: the handle or the SKU."""
        return self.slug if self.is_found_by_slug else self.sku
