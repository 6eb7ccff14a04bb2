"""Compares drafts with the stored rows: each plan gets the rows to write, or faults that forbid writing."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from catalog.models import Image, Product, Variant
from catalog.writes.batches import is_same
from catalog.writes.declared import find_type_faults
from catalog.writes.drafts import Command, ImageDraft, Place, VariantDraft
from catalog.writes.known import KnownRows
from catalog.writes.plans import Manner, Mode, Part, Plan
from catalog.writes.sentences import (
    NOUNS,
    say_alone,
    say_derived,
    say_missing,
    say_moved,
    say_repeated,
    say_reserved,
    say_taken,
    say_undeletable,
    say_unknown,
)
from catalog.writes.texts import compose, index_composed
from catalog.writes.values import MOST_INTEGER

# The most SKUs that an error names.
NAMED_VARIANTS = 3


def match_plans(plans: Sequence[Plan], known: KnownRows, manner: Manner) -> None:
    """Fill the plans. A plan that can't be written has faults afterwards."""
    once = Once() if manner.refuses_repeats else None
    for plan in plans:
        Match(plan, known, manner, once).run()


class Once:
    """Names that an input may have once, with the place of the first."""

    def __init__(self) -> None:
        self.places: dict[tuple[Any, Any], tuple[Place, str]] = {}

    def claim(self, name: tuple[Any, Any], place: Place, member: str) -> str:
        """The place of an earlier use of the name; empty if this is the first."""
        first = self.places.setdefault(name, (place, member))
        return "" if first == (place, member) else first[0].locate(first[1])


class Match:
    """Matches one plan. Every step may add faults to it."""

    def __init__(self, plan: Plan, known: KnownRows, manner: Manner, once: Once | None) -> None:
        self.plan, self.known, self.manner, self.once = plan, known, manner, once
        self.draft = plan.draft

    def run(self) -> None:
        plan = self.plan
        plan.product = self.known.find_product(self.draft)
        plan.is_new = plan.product is None
        if self.manner.mode is Mode.DELETE:
            self.drop()
            return
        plan.is_skipped = self.is_skipped()
        if plan.is_skipped or plan.faults:
            return
        self.check_identity()
        if plan.is_new and not plan.faults:
            self.check_newcomer()
        self.check_names()
        self.check_attributes()
        if not self.manner.makes_taxonomy:
            self.find_links()
        if not plan.faults:
            self.match_variants()
            self.match_images()

    def refuse(self, member: str, code: str, detail: str) -> None:
        self.plan.refuse(self.draft.place, member, code, detail)

    def claim(self, name: tuple[Any, Any], place: Place, member: str, given: Any) -> None:
        """Add a fault if the input already has this name. `given` is the value for the sentence."""
        if self.once and (where := self.once.claim(name, place, member)):
            self.plan.refuse(place, member, "repeated", say_repeated(given, where, NOUNS.get(member, "")))

    def is_skipped(self) -> bool:
        """Whether a file's options or the row's command leave the product as it is."""
        command, is_new = self.draft.command, self.plan.is_new
        if command is Command.DELETE:
            if not self.manner.may_delete:
                self.refuse("command", "permission_denied", say_undeletable())
                return False
            self.plan.is_dropped = not is_new
            return True
        return is_new in self.manner.skips or (command is Command.UPDATE and is_new)

    # -- the product itself

    def drop(self) -> None:
        """Plan to delete the product. A draft without its id or SKU, of no product, or of one named before, is bad."""
        self.check_identity()
        self.check_names()
        self.plan.is_skipped = True
        self.plan.is_dropped = not self.plan.faults

    def check_identity(self) -> None:
        draft, mode, is_new = self.draft, self.manner.mode, self.plan.is_new
        if draft.is_found_by_variant:
            self.check_owner()
        elif mode is Mode.CREATE and draft.id is not None:
            self.refuse("id", "unexpected", "A new product gets its id from the server; leave it out.")
        elif draft.id is None and draft.sku is None:
            self.refuse("sku", "required", "A product is found by its id or its SKU.")
        elif is_new and (draft.id is not None or mode in (Mode.UPDATE, Mode.DELETE)):
            name, value = ("id", draft.id) if draft.id is not None else ("sku", draft.sku)
            self.refuse(name, "not_found", say_unknown("product", name, value))
        elif not is_new and Command.CREATE in (mode, draft.command):
            self.refuse("sku", "taken", say_taken(draft.sku or "", "product", "SKU"))

    def check_owner(self) -> None:
        """Check the product of a draft that is found by its variant."""
        draft = self.draft
        if self.plan.is_new:
            self.refuse("product_sku" if draft.owner_sku else "sku", "not_found", say_alone(draft.key, draft.owner_sku))
        elif self.known.by_sku.get(draft.owner_sku) not in (None, self.plan.product):
            self.refuse("sku", "taken", say_taken(draft.key, "product", "SKU"))

    def check_newcomer(self) -> None:
        draft = self.draft
        if "title" not in draft.fields:
            self.refuse("title", "required", say_missing("product", draft.key, "title"))
        if not draft.variants and draft.only is None:
            self.refuse("price", "required", say_missing("product", draft.key, "price"))

    def check_names(self) -> None:
        """SKU and slug belong to one product only, and an input names a product only once."""
        draft, product = self.draft, self.plan.product
        if product is not None:
            member = "id" if draft.id is not None else "slug" if draft.is_found_by_slug else "sku"
            self.claim(("row", product.pk), draft.place, member, getattr(draft, member))
        self.check_name("sku", draft.sku, self.known.by_sku)
        self.check_name("slug", draft.slug, self.known.by_slug)

    def check_name(self, name: str, value: str | None, owners: Mapping[str, Product]) -> None:
        """Check a SKU or slug that the product doesn't have yet."""
        draft, product = self.draft, self.plan.product
        if not value or (product is not None and (name not in draft.fields or getattr(product, name) == value)):
            return
        self.claim((name, value), draft.place, name, value)
        owner = owners.get(value)
        if owner is None or owner is product:  # its own, in decomposed form
            return
        if name == "slug" or product is not None:
            self.refuse(name, "taken", say_taken(value, "product", NOUNS[name]))
        elif draft.is_found_by_slug:
            self.refuse(name, "taken", say_moved(value, owner.slug))

    def check_attributes(self) -> None:
        """Check the types of declared attributes. Values that the product already has may be written again."""
        stored = self.plan.product.attributes if self.plan.product else {}
        for name, detail in find_type_faults(self.draft.named_attributes, stored, self.known.types):
            self.refuse(f"attributes/{name}", "invalid", detail)

    def find_links(self) -> None:
        self.plan.links = self.known.taxonomy.find_ids(self.draft.links)
        for name, slug in self.draft.links.items():
            if slug is not None and self.plan.links[f"{name}_id"] is None:
                self.refuse(name, "does_not_exist", say_unknown(name, "slug", slug))

    # -- variants

    def match_variants(self) -> None:
        draft, product = self.draft, self.plan.product
        stored = self.known.variants_of[product.pk] if product else []
        if draft.variants:
            self.plan.variants = self.match_parts("variant", "sku", draft.variants, stored)
            self.keep_made_skus(stored)
            self.place_parts(self.plan.variants, stored)
        elif self.manner.replaces and draft.variants is not None:
            self.refuse("variants", "required", "Every product has at least one variant.")
        elif draft.only:
            self.match_only_variant(draft.only, stored)
        for part in self.plan.variants:
            self.check_variant(part)
        if self.manner.replaces and draft.variants is not None:
            self.plan.dropped_variants = list_dropped(self.plan.variants, stored)

    def match_only_variant(self, draft: VariantDraft, stored: Sequence[Variant]) -> None:
        """Match the product's single variant, or the one of several that the draft names by SKU."""
        fields, product = draft.fields, self.plan.product
        if product and len(stored) > 1 and fields.get("price") == product.price:
            # The price is the product's, which is the lowest of its variants, so nothing changes. If it was written to
            # one variant, a more expensive one could become as cheap.
            fields = {name: value for name, value in fields.items() if name != "price"}
        if not fields and not draft.pieces:
            return
        row = self.known.variants.get(draft.sku) if draft.sku else None
        if row is None and len(stored) == 1:
            row = stored[0]
        if row is None and stored:
            named = [variant.sku for variant in stored[:NAMED_VARIANTS]]
            member = next(iter(draft.fields), "on_hand")
            self.refuse(member, "derived", say_derived(self.draft.key, named))
        else:
            self.plan.variants = [Part(draft, fields, row, row is None)]

    def keep_made_skus(self, stored: Sequence[Variant]) -> None:
        """Match drafts without a SKU with stored variants of the same options that no other draft names."""
        named = {part.draft.sku for part in self.plan.variants}
        for part in self.plan.variants:
            if part.is_new and part.draft.has_made_sku:
                free = (row for row in stored if row.sku not in named)
                part.row = next((row for row in free if is_same(row.options, part.fields.get("options"))), None)
                part.is_new = part.row is None

    def check_variant(self, part: Part[VariantDraft, Variant]) -> None:
        self.claim_sku(part)
        if part.row is None:
            self.require(part, "variant", sku=part.draft.sku or self.draft.sku, price=part.fields.get("price"))
            return
        for location, on_hand in part.draft.pieces.items():
            stock = self.known.stock.get((part.row.pk, location))
            if stock and on_hand < stock.reserved:
                self.plan.refuse(part.draft.place, "on_hand", "reserved", say_reserved(on_hand, stock.reserved))

    def claim_sku(self, part: Part[VariantDraft, Variant]) -> None:
        """Check that no other variant, of any product, has the variant's new SKU."""
        draft, product = part.draft, self.plan.product
        if part.row is not None and (product is None or part.row.product_id != product.pk):
            self.plan.refuse(draft.place, "sku", "taken", say_taken(part.row.sku, "variant", "SKU"))
        sku = draft.sku or self.draft.sku if part.is_new else part.fields.get("sku", draft.sku)
        owner = self.known.variants.get(sku or "")
        if sku is None or (part.row is not None and compose(part.row.sku) == sku and owner in (None, part.row)):
            return
        self.claim(("variant", sku), draft.place, "sku", sku)
        if owner:
            self.plan.refuse(draft.place, "sku", "taken", say_taken(sku, "variant", "SKU"))

    # -- images

    def match_images(self) -> None:
        draft, product = self.draft, self.plan.product
        if draft.images is None:
            return
        stored = self.known.images_of[product.pk] if product else []
        self.plan.images = self.match_parts("image", "url", draft.images, stored)
        if self.manner.shows_images_first:
            self.bring_forward(stored)
        else:
            self.place_parts(self.plan.images, stored)
        for part in self.plan.images:
            self.claim_url(part, stored)
            if part.row is None:
                self.require(part, "image", url=part.draft.url)
        if self.manner.replaces:
            self.plan.dropped_images = list_dropped(self.plan.images, stored)

    def bring_forward(self, stored: Sequence[Image]) -> None:
        """Put the draft's images first, in its order, then the other images. Does nothing if they have this order."""
        parts = self.plan.images
        if not parts:
            return
        rows = [part.row for part in parts]
        if rows == list(stored[: len(rows)]) and not any("position" in part.fields for part in parts):
            return
        for number, part in enumerate(parts, start=1):
            part.fields = {"position": number} | part.fields
        last = max(part.fields["position"] for part in parts)
        named = {row.pk for row in rows if row}
        others = [row for row in stored if row.pk not in named]
        step = last + 1 - min((row.position for row in others), default=last + 1)
        if step > 0:
            self.plan.images = [*parts, *(self.move_image(row, row.position + step) for row in others)]

    def move_image(self, row: Image, position: int) -> Part[ImageDraft, Image]:
        fields = {"position": min(position, MOST_INTEGER)}
        return Part(ImageDraft(self.draft.place, fields, id=row.pk), fields, row, is_new=False)

    def claim_url(self, part: Part[ImageDraft, Image], stored: Sequence[Image]) -> None:
        """Check that the product has no image with this URL yet."""
        url = part.draft.url
        if url is None or (part.row is not None and part.row.url == url):
            return
        self.claim((self.draft.place, url), part.draft.place, "url", url)
        if part.row is not None and any(row.url == url for row in stored):
            self.plan.refuse(part.draft.place, "url", "taken", say_taken(url, "image of this product", "URL"))

    # -- both

    def match_parts(self, kind: str, key: str, drafts: Sequence[Any], stored: Sequence[Any]) -> list[Part[Any, Any]]:
        """Pair each draft with the stored row of the same id or, without an id, of the same `key`."""
        # Ids are numbers and keys are texts, so one dict can hold both.
        found: dict[Any, Any] = {row.id: row for row in stored}
        found |= index_composed(stored, attrgetter(key))
        parts = []
        for draft in drafts:
            row = found.get(getattr(draft, key) if draft.id is None else draft.id)
            if draft.id is not None and row is None:
                # Also if the id belongs to another product's row.
                detail = f"This product has no {kind} with the id {draft.id}."
                self.plan.refuse(draft.place, "id", "not_found", detail)
                continue
            if row is not None:
                member = key if draft.id is None else "id"
                self.claim((kind, row.pk), draft.place, member, getattr(draft, member))
            own = draft.fields
            if row is not None and draft.id is None and key in own:
                own = {**own, key: getattr(row, key)}  # it may be stored in another form
            parts.append(Part(draft, own, row, row is None))
        return parts

    def place_parts(self, parts: Sequence[Part[Any, Any]], stored: Sequence[Any]) -> None:
        """Give positions to parts without one: in the list's order if it replaces all, else after all others."""
        new = parts if self.manner.replaces else [part for part in parts if part.is_new]
        last = 0 if self.manner.replaces else find_last(parts, stored)
        for number, part in enumerate(new, start=last + 1):
            part.fields = {"position": min(number, MOST_INTEGER)} | part.fields

    def require(self, part: Part[Any, Any], kind: str, **needed: Any) -> None:
        key = next(iter(needed.values()))
        for name, value in needed.items():
            if value is None:
                self.plan.refuse(part.draft.place, name, "required", say_missing(kind, key, NOUNS[name]))


def find_last(parts: Sequence[Part[Any, Any]], stored: Sequence[Any]) -> int:
    """The greatest position, after the drafts' own positions are applied; 0 if there is none."""
    named = [part for part in parts if "position" in part.fields]
    moved = {part.row.pk for part in named if part.row}
    staying = [row.position for row in stored if row.pk not in moved]
    return max([*staying, *(part.fields["position"] for part in named)], default=0)


def list_dropped(parts: Sequence[Part[Any, Any]], stored: Sequence[Any]) -> list[int]:
    kept = {part.row.pk for part in parts if part.row}
    return [row.pk for row in stored if row.pk not in kept]
