"""Plans beside what is known: each finds the rows that it means, or the faults for which it can't be written.

Codes of faults: `taken` and `reserved` clash with what is stored, and answer 409; `repeated` stands twice in one
body; `not_found`, `required`, `derived`, `does_not_exist` are 400.
"""

from collections.abc import Sequence
from typing import Any

from catalog.models import Image, Product, Variant
from catalog.writes.known import KnownRows
from catalog.writes.plans import LINKS, Mode, Part, Plan

# The column's.
GREATEST_POSITION = 2**31 - 1


def match_plans(plans: Sequence[Plan], known: KnownRows) -> None:
    """Fills the plans; what can't be written has faults afterwards."""
    once = Once()
    for plan in plans:
        if not plan.row.faults:
            Match(plan, known, once).run()


class Once:
    """Names that may stand in a body once, with the pointer to the first."""

    def __init__(self) -> None:
        self.pointers: dict[tuple[str, Any], str] = {}

    def claim(self, plan: Plan, kind: str, value: Any, pointer: str, given: Any = None) -> None:
        """`given` is what the body calls it by, where that isn't `value` itself."""
        first = self.pointers.setdefault((kind, value), pointer)
        if first != pointer:
            named = value if given is None else given
            plan.row.refuse(pointer, "repeated", f"{named!r} stands in the body already, at {first}.")


class Match:
    """One plan; every step may add faults."""

    def __init__(self, plan: Plan, known: KnownRows, once: Once) -> None:
        self.plan, self.known, self.once = plan, known, once
        self.values = plan.values
        self.pointer = plan.row.pointer

    def run(self) -> None:
        plan = self.plan
        plan.product = self.known.find_product(plan)
        plan.is_new = plan.product is None
        plan.row.status = "created" if plan.is_new else "unchanged"
        self.check_identity()
        if plan.is_new and not plan.row.faults:
            self.check_newcomer()
        self.check_names()
        self.resolve_links()
        if not plan.row.faults:
            self.match_variants()
            self.match_images()

    def refuse(self, member: str, code: str, detail: str) -> None:
        self.plan.row.refuse(f"{self.pointer}/{member}", code, detail)

    # -- the product itself

    def check_identity(self) -> None:
        plan, key, sku = self.plan, self.values.get("id"), self.values.get("sku")
        if plan.mode == Mode.CREATE and key is not None:
            self.refuse("id", "unexpected", "A new product gets its id from us.")
        elif key is None and sku is None:
            self.refuse("sku", "required", "A product is found by its id or its SKU.")
        elif plan.is_new and (key is not None or plan.mode == Mode.UPDATE):
            name, value = ("id", key) if key is not None else ("sku", sku)
            self.refuse(name, "not_found", f"There is no product with the {name} {value!r}.")
        elif not plan.is_new and plan.mode == Mode.CREATE:
            self.refuse("sku", "taken", f"{sku!r} belongs to another product.")

    def check_names(self) -> None:
        """SKU and slug are one product's alone, and a body names a product once."""
        product = self.plan.product
        if product is not None:
            member = "id" if "id" in self.values else "sku"
            self.once.claim(self.plan, "product", product.pk, f"{self.pointer}/{member}", self.values.get(member))
        for name, owners in (("sku", self.known.by_sku), ("slug", self.known.by_slug)):
            if (value := self.values.get(name)) is None:
                continue
            self.once.claim(self.plan, name, value, f"{self.pointer}/{name}")
            if product is not None or name == "slug":
                self.refuse_taken(name, value, owners.get(value))

    def refuse_taken(self, name: str, value: str, owner: Product | None) -> None:
        if owner is not None and owner != self.plan.product:
            self.refuse(name, "taken", f"{value!r} belongs to another product.")

    def resolve_links(self) -> None:
        for name, ids in zip(LINKS, (self.known.brands, self.known.categories), strict=True):
            if name not in self.values:
                continue
            slug = self.values[name]
            self.plan.links[f"{name}_id"] = ids.get(slug)
            if slug is not None and slug not in ids:
                self.refuse(name, "does_not_exist", f"There is no {name} with the slug {slug!r}.")

    def check_newcomer(self) -> None:
        if "title" not in self.values:
            self.refuse("title", "required", "A new product needs it.")
        if not self.values.get("variants") and "price" not in self.values:
            self.refuse("price", "required", "A product without variants needs a price.")

    # -- variants

    def match_variants(self) -> None:
        bodies = self.values.get("variants")
        stored = self.known.variants_of[self.plan.product.pk] if self.plan.product else []
        if not bodies and self.plan.is_new:
            only = Part[Variant](self.pointer, {"sku": self.values["sku"], "price": self.values["price"]})
            self.plan.variants = [only]
            self.claim_sku(only)
        elif bodies is None and "price" in self.values:
            self.match_only_variant(stored)
        elif bodies is not None:
            self.plan.variants = self.match_parts("variants", bodies, stored, "sku")
            self.check_variants(stored)

    def match_only_variant(self, stored: Sequence[Variant]) -> None:
        """`price` of a product is its single variant's; with several it follows from theirs."""
        if len(stored) > 1:
            detail = "This product has several variants and its price follows from theirs: send variants[].price."
            self.refuse("price", "derived", detail)
        else:
            self.plan.variants = [Part(self.pointer, {"price": self.values["price"]}, row) for row in stored]

    def check_variants(self, stored: Sequence[Variant]) -> None:
        self.place_parts(self.plan.variants, stored)
        for part in self.plan.variants:
            self.claim_sku(part)
            if part.row is None:
                self.require(part, "sku", "price")
            elif (stock := self.known.stock.get(part.row.pk)) and part.values.get(
                "on_hand", stock.reserved
            ) < stock.reserved:
                detail = f"{stock.reserved} pieces of it are reserved: give that many or more."
                self.plan.row.refuse(f"{part.pointer}/on_hand", "reserved", detail)
        if self.plan.replaces:
            kept = {part.row.pk for part in self.plan.variants if part.row}
            self.plan.dropped_variants = [row.pk for row in stored if row.pk not in kept]
            if not self.plan.variants:
                self.refuse("variants", "required", "Every product has at least one variant.")

    def claim_sku(self, part: Part[Variant]) -> None:
        """A variant's SKU is its own among all products' variants."""
        if (sku := part.values.get("sku")) is None:
            return
        self.once.claim(self.plan, "variant", sku, f"{part.pointer}/sku")
        owner = self.known.variants_by_sku.get(sku)
        if owner is not None and owner != part.row:
            self.plan.row.refuse(f"{part.pointer}/sku", "taken", f"{sku!r} belongs to another variant.")

    # -- images

    def match_images(self) -> None:
        if (bodies := self.values.get("images")) is None:
            return
        stored = self.known.images_of[self.plan.product.pk] if self.plan.product else []
        self.plan.images = self.match_parts("images", bodies, stored, "url")
        self.place_parts(self.plan.images, stored)
        for part in self.plan.images:
            self.claim_url(part, stored)
            if part.row is None:
                self.require(part, "url")
        if self.plan.replaces:
            kept = {part.row.pk for part in self.plan.images if part.row}
            self.plan.dropped_images = [row.pk for row in stored if row.pk not in kept]

    def claim_url(self, part: Part[Image], stored: Sequence[Image]) -> None:
        """A product has an image once."""
        if (url := part.values.get("url")) is None:
            return
        self.once.claim(self.plan, f"image of {self.pointer}", url, f"{part.pointer}/url")
        if any(row.url == url and row != part.row for row in stored):
            self.plan.row.refuse(f"{part.pointer}/url", "taken", f"{url!r} is another image of this product.")

    # -- both

    def match_parts(self, name: str, bodies: Sequence[Any], stored: Sequence[Any], key: str) -> list[Part[Any]]:
        """Each body beside the stored row that has its id, or else its `key`."""
        by_id, by_key = {row.pk: row for row in stored}, {getattr(row, key): row for row in stored}
        parts = []
        for number, body in enumerate(bodies):
            pointer, values = f"{self.pointer}/{name}/{number}", dict(body)
            pk = values.pop("id", None)
            row = by_key.get(values.get(key)) if pk is None else by_id.get(pk)
            if pk is not None and row is None:
                # An id of another product's row is refused, not taken over.
                self.plan.row.refuse(f"{pointer}/id", "not_found", f"This product has nothing with the id {pk}.")
                continue
            if row is not None:
                member, given = (key, values[key]) if pk is None else ("id", pk)
                self.once.claim(self.plan, name, row.pk, f"{pointer}/{member}", given)
            parts.append(Part(pointer, values, row))
        return parts

    def place_parts(self, parts: Sequence[Part[Any]], stored: Sequence[Any]) -> None:
        """Positions for those without one: in the list's order where it replaces all, else behind all others."""
        new = parts if self.plan.replaces else [part for part in parts if part.row is None]
        last = 0 if self.plan.replaces else find_last(parts, stored)
        for number, part in enumerate(new, start=last + 1):
            part.values.setdefault("position", min(number, GREATEST_POSITION))

    def require(self, part: Part[Any], *names: str) -> None:
        for name in names:
            if name not in part.values:
                kind = "variant" if isinstance(part, Part) and "sku" in names else "image"
                self.plan.row.refuse(f"{part.pointer}/{name}", "required", f"A new {kind} needs it.")


def find_last(parts: Sequence[Part[Any]], stored: Sequence[Any]) -> int:
    """The greatest position once the body's own are taken; 0 where there is none."""
    named = [part for part in parts if "position" in part.values]
    moved = {part.row.pk for part in named if part.row}
    staying = [row.position for row in stored if row.pk not in moved]
    return max([*staying, *(part.values["position"] for part in named)], default=0)
