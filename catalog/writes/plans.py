"""A draft beside the rows that it means: what is to be written, or why it can't be, and what becomes of it."""

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


@dataclass(frozen=True, slots=True)
class Manner:
    """How the drafts of a front end are meant."""

    mode: Mode = Mode.UPSERT
    # PUT: the nested lists of the draft are all that stays.
    replaces: bool = False
    # Bodies: what stands twice is refused; a file's reader, which sees all of its batches, has done that already.
    refuses_repeats: bool = True
    # Files: brands and categories are names, and what is missing is made.
    makes_taxonomy: bool = False
    # Files: the draft's images come before those that it doesn't name.
    shows_images_first: bool = False


@dataclass(slots=True)
class Part[Draft: (VariantDraft, ImageDraft), Stored: (Variant, Image)]:
    """A nested row: what is to be written of its draft, and the stored row, None for a new one until it is saved."""

    draft: Draft
    fields: Values
    row: Stored | None
    is_new: bool
    is_changed: bool = False


NO_LINKS: Mapping[str, int | None] = MappingProxyType({})


@dataclass(slots=True)
class Plan:
    draft: ProductDraft
    # The stored one, and after saving the new one.
    product: Product | None = None
    is_new: bool = False
    is_changed: bool = False
    # A stored one whose variants or images change.
    is_moved: bool = False
    # Empty tuples cost nothing: there are thousands of plans, and Python's garbage collector walks each list.
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
        if self.is_new:
            return "created"
        return "updated" if self.is_changed else "unchanged"
