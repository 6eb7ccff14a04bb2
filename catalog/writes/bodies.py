"""Rows of a request's body in, drafts out; the results go back to the rows. A single write is a body of one row."""

from collections.abc import Sequence

from catalog.models import Product
from catalog.querysets import MAIN
from catalog.writes.drafts import ImageDraft, ProductDraft, Values, VariantDraft
from catalog.writes.plans import Manner, Mode, Plan
from catalog.writes.upserts import Upsert
from config.api.writes.bodies import Row

TEXTS = ("description", "seo_title", "seo_description")
LINKS = ("brand", "category")
# Members of a body that aren't columns of the product.
PARTS = ("id", "variants", "images", "price", *LINKS, *TEXTS)


class Pointer(str):
    """The place of a draft in a body, as a JSON pointer."""

    __slots__ = ()

    def locate(self, member: str) -> str:
        return f"at {self}/{member}"


class ProductsWriter:
    """A Writer (config/api/writes/bulk.py) of products. Results name a product by id and SKU."""

    def __init__(self, rows: Sequence[Row], manner: Manner) -> None:
        self.rows = rows
        if manner.mode is Mode.DELETE:
            refuse_others(rows)
        good = [row for row in rows if not row.faults]
        self.upsert = Upsert([draft_product(row) for row in good], manner)
        self.planned = list(zip(good, self.upsert.plans, strict=True))
        for row in rows:
            row.names = {"id": None, "sku": row.values.get("sku")}
        for row, plan in self.planned:
            tell_plan(row, plan)
            for fault in plan.faults:
                row.refuse(f"{fault.place}/{fault.member}", fault.code, fault.detail)

    def save(self) -> None:
        self.upsert.save()
        for row, plan in self.planned:
            tell_plan(row, plan)


def refuse_others(rows: Sequence[Row]) -> None:
    """A row that only names a product has no other members: its sender may mean another mode."""
    for row in rows:
        for name in row.values.keys() - {"id", "sku"} if not row.faults else ():
            detail = "A product that is deleted needs its id or its SKU only; leave this out."
            row.refuse(f"{row.pointer}/{name}", "unexpected", detail)


def tell_plan(row: Row, plan: Plan) -> None:
    product: Product | None = plan.product
    row.status = plan.status
    row.names = {"id": product.pk if product else None, "sku": plan.draft.sku or (product.sku if product else None)}


def draft_product(row: Row) -> ProductDraft:
    values, place = row.values, Pointer(row.pointer)
    return ProductDraft(
        place,
        id=values.get("id"),
        sku=values.get("sku"),
        slug=values.get("slug", ""),
        fields={name: value for name, value in values.items() if name not in PARTS},
        text={name: values[name] for name in TEXTS if name in values},
        links={name: values[name] for name in LINKS if name in values},
        only=VariantDraft(place, {"price": values["price"]}) if "price" in values else None,
        variants=draft_variants(place, values),
        images=draft_images(place, values),
    )


def draft_variants(place: Pointer, values: Values) -> tuple[VariantDraft, ...] | None:
    if "variants" not in values:
        return None
    return tuple(draft_variant(Pointer(f"{place}/variants/{n}"), body) for n, body in enumerate(values["variants"]))


def draft_variant(place: Pointer, body: Values) -> VariantDraft:
    fields = {name: value for name, value in body.items() if name not in ("id", "on_hand")}
    pieces = {MAIN: body["on_hand"]} if "on_hand" in body else {}
    return VariantDraft(place, fields, body.get("id"), body.get("sku"), pieces)


def draft_images(place: Pointer, values: Values) -> tuple[ImageDraft, ...] | None:
    if "images" not in values:
        return None
    return tuple(draft_image(Pointer(f"{place}/images/{n}"), body) for n, body in enumerate(values["images"]))


def draft_image(place: Pointer, body: Values) -> ImageDraft:
    fields = {name: value for name, value in body.items() if name != "id"}
    return ImageDraft(place, fields, body.get("id"), body.get("url"))
