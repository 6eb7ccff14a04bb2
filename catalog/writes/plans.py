"""A row of a body as a plan: which product it means, what of it is to be written, and what becomes of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from catalog.models import Image, Product, Variant
from config.api.bodies import Row, Values

TEXTS = ("description", "seo_title", "seo_description")
LINKS = ("brand", "category")
# Members that aren't columns of the product.
PARTS = ("id", "variants", "images", "price", *LINKS, *TEXTS)


class Mode(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"


@dataclass
class Part[Stored: (Variant, Image)]:
    """A nested row: what the body says, the pointer to it, and what is stored, None for a new one."""

    pointer: str
    values: Values
    row: Stored | None = None


@dataclass
class Plan:
    row: Row
    mode: Mode = Mode.UPSERT
    # PUT: the nested lists of the body are all that stays.
    replaces: bool = False
    # The stored one, and after saving the new one.
    product: Product | None = None
    is_new: bool = False
    links: Values = field(default_factory=dict)
    variants: list[Part[Variant]] = field(default_factory=list)
    images: list[Part[Image]] = field(default_factory=list)
    # Keys of variants and images that a PUT leaves out.
    dropped_variants: list[int] = field(default_factory=list)
    dropped_images: list[int] = field(default_factory=list)

    @property
    def values(self) -> Values:
        return self.row.values

    @property
    def sku(self) -> str | None:
        """The body's, or that of the product which it names by id."""
        return self.values.get("sku") or (self.product.sku if self.product else None)

    @property
    def columns(self) -> Values:
        return {name: value for name, value in self.values.items() if name not in PARTS}

    @property
    def texts(self) -> Values:
        return {name: self.values[name] for name in TEXTS if name in self.values}

    @property
    def names_variants(self) -> bool:
        return "variants" in self.values or "price" in self.values

    def mark_changed(self) -> None:
        if not self.is_new:
            self.row.status = "updated"
