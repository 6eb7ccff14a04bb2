"""A plan: a draft with its stored rows, what will be written or the faults, and the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from catalog.models import Image, Product, Variant
from catalog.writes.drafts import DraftFault, ImageDraft, Place, ProductDraft, Values, VariantDraft


class Mode(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Manner:
    """How the pipeline treats a front end's drafts."""

    mode: Mode = Mode.UPSERT
    # PUT: stored variants and images that the draft's lists don't have are deleted.
    replaces: bool = False
    # Bodies: a repeated row is a fault. For files catalog/imports/seen.py checks this over all batches.
    refuses_repeats: bool = True
    # Files: brands and categories are given by name, and missing ones are created.
    makes_taxonomy: bool = False
    # Files: the draft's images come before the product's other images.
    shows_images_first: bool = False
    # Files: new rows are inserted in the order of the drafts; else by SKU, so that two imports don't deadlock.
    keeps_order: bool = False
    # Files: the status of new products, whatever their drafts say; "" means the drafts' own.
    new_status: str = ""
    # Files: which products are left as they are, new ones (True) or stored ones (False).
    skips: frozenset[bool] = frozenset()
    # Files: whether a row may delete its product.
    may_delete: bool = True


@dataclass(slots=True)
class Part[Draft: (VariantDraft, ImageDraft), Stored: (Variant, Image)]:
    """A variant or image: its draft, the fields to write, and the stored row (None for a new one until it is saved)."""

    draft: Draft
    fields: Values
    row: Stored | None
    is_new: bool
    is_changed: bool = False


NO_LINKS: Mapping[str, int | None] = MappingProxyType({})


@dataclass(slots=True)
class Plan:
    """One product to write."""

    draft: ProductDraft
    # The stored product; for a new one None until it is saved.
    product: Product | None = None
    is_new: bool = False
    is_changed: bool = False
    # Left as it is, or deleted, because of an option or a command in the file.
    is_skipped: bool = False
    is_dropped: bool = False
    # A stored product whose variants or images change.
    is_moved: bool = False
    # Tuples, since empty ones cost nothing: there are thousands of plans, and the garbage collector walks each list.
    faults: tuple[DraftFault, ...] = ()
    # The ids of brand and category, by column.
    links: Mapping[str, int | None] = NO_LINKS
    variants: Sequence[Part[VariantDraft, Variant]] = ()
    images: Sequence[Part[ImageDraft, Image]] = ()
    # Keys of variants and images that a PUT leaves out.
    dropped_variants: Sequence[int] = ()
    dropped_images: Sequence[int] = ()

    def refuse(self, place: Place, member: str, code: str, detail: str) -> None:
        self.faults += (DraftFault(place, member, code, detail),)

    @property
    def status(self) -> str:
        if self.is_dropped:
            return "deleted"
        if self.is_new:
            return "created"
        return "updated" if self.is_changed else "unchanged"
