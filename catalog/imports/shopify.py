"""Records of Shopify's product CSV in, drafts or errors out. The rows with the same Handle are one product.

The first row has the product's own columns. Each row may have a variant, an image or both. A product with a bad row is
left out as a whole: without one of its variants it could have a wrong price.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from catalog.imports.errors import BadRow, Line
from catalog.imports.plain import (
    LINK_FIELDS,
    TEXT_FIELDS,
    VARIANT_FIELDS,
    RowReader,
    draft_image,
    keep_first,
    pick,
)
from catalog.imports.readers import Record
from catalog.imports.values import (
    ALT_FIELD,
    FIELDS,
    MOST_PARTS,
    POSITION_FIELD,
    Blank,
    Field,
    is_blank,
    read_oversold,
    read_published,
)
from catalog.writes.drafts import ImageDraft, ProductDraft, VariantDraft
from catalog.writes.slugs import fingerprint, make_slug
from catalog.writes.values import OPTION, show_value

PRODUCT_COLUMNS = {
    "Title": "title",
    "Body (HTML)": "description",
    "Vendor": "brand",
    "Type": "category",
    "Tags": "tags",
    "Status": "status",
    "Published": "published",
    "SEO Title": "seo_title",
    "SEO Description": "seo_description",
}
VARIANT_COLUMNS = {
    "Variant SKU": "sku",
    "Variant Price": "price",
    "Variant Compare At Price": "compare_at_price",
    "Variant Grams": "weight",
    "Variant Inventory Qty": "stock",
    "Variant Barcode": "barcode",
}
IMAGE_COLUMNS = {"Image Src": "image", "Image Position": "position", "Image Alt Text": "alt"}
# What makes a later row a variant; Shopify fills the other columns in image rows, too.
VARIANT_SIGNS = ("Option1 Value", "Variant SKU", "Variant Price")
SHOPIFY_FIELDS = FIELDS | {
    "stock": Field(read_oversold),
    "published": Field(read_published),
    "position": POSITION_FIELD,
    "alt": ALT_FIELD,
    "option": Field(OPTION.read),
}


def draft_products(records: Iterable[Record]) -> Iterator[ProductDraft | BadRow]:
    """One draft for each run of rows with the same Handle, one BadRow for each row without a Handle."""
    for handle, rows in groupby(records, key=read_handle):
        if not handle:
            yield from map(refuse_nameless, rows)
            continue
        try:
            yield draft_product(handle, rows)
        except BadRow as error:
            yield error


def read_handle(record: Record) -> str:
    return str(record.cells.get("Handle", "")).strip()


def refuse_nameless(record: Record) -> BadRow:
    row = RowReader(record, "")
    row.refuse("Handle: is blank; give each row the Handle of its product")
    return BadRow(row.refusals)


def draft_product(handle: str, rows: Iterable[Record]) -> ProductDraft:
    """Raises BadRow with the errors of all rows."""
    group = ProductRows(handle)
    for record in islice(rows, MOST_PARTS):
        group.add_row(record)
    if rest := sum(1 for _ in rows):
        group.first.refuse(f"Handle: has {rest + MOST_PARTS:,} rows; give at most {MOST_PARTS:,}")
    return group.make_draft()


class ProductRows:
    """Collects the rows of one Handle into a draft."""

    first: RowReader

    def __init__(self, handle: str) -> None:
        self.handle = handle
        # The handle for messages, shortened, since the handle itself may be the error.
        self.key = show_value(handle)[1:-1]
        self.product: dict[str, Any] = {}
        self.option_names: dict[int, str] = {}
        self.variants: list[dict[str, Any]] = []
        self.images: list[ImageDraft] = []
        self.rows: list[RowReader] = []

    def add_row(self, record: Record) -> None:
        row = RowReader(record, self.key)
        is_first = not self.rows
        self.rows.append(row)
        if is_first:
            self.first = row
            row.read_cell("Handle", FIELDS["title"], self.handle)
            self.product = read_columns(row, record, PRODUCT_COLUMNS)
            self.option_names = read_options(row, record, "Name")
        if is_first or any(not is_blank(record.cells.get(column)) for column in VARIANT_SIGNS):
            self.add_variant(row, record)
        if not is_blank(record.cells.get("Image Src")):
            self.add_image(row, record)

    def add_variant(self, row: RowReader, record: Record) -> None:
        values = read_options(row, record, "Value")
        names = {number: self.option_names.get(number, f"Option{number}") for number in values}
        options = {names[number]: value for number, value in values.items()}
        # Shopify writes this for a product without options.
        options = {} if options == {"Title": "Default Title"} else options
        if same := next((other for other in self.variants if other["options"] == options), None):
            row.refuse(f"Option values: are the same as on line {same['line']}; give each variant its own")
        self.variants.append(read_columns(row, record, VARIANT_COLUMNS) | {"options": options, "line": row.line})

    def add_image(self, row: RowReader, record: Record) -> None:
        values = read_columns(row, record, IMAGE_COLUMNS)
        if "image" in values:
            fields = {"url": values["image"]} | pick(values, ("position", "alt"))
            self.images.append(draft_image(row.place, fields))

    def make_draft(self) -> ProductDraft:
        if refusals := [refusal for row in self.rows for refusal in row.refusals]:
            raise BadRow(refusals)
        slug = make_slug(self.handle, 255)
        return ProductDraft(
            self.first.place,
            sku=self.variants[0].get("sku") or shorten_sku(slug),
            slug=slug,
            is_found_by_slug=True,
            fields=self.make_fields(),
            text=pick(self.product, TEXT_FIELDS),
            links=pick(self.product, LINK_FIELDS),
            attributes=pick(self.product, ("tags",)),
            variants=tuple(make_variant(slug, number, values) for number, values in enumerate(self.variants, 1)),
            images=keep_first(self.images) if self.images else None,
        )

    def make_fields(self) -> dict[str, Any]:
        fields = pick(self.product, ("title", "status"))
        if "status" not in fields and "published" in self.product:
            fields["status"] = "active"
        if self.product.get("published") is False and fields.get("status") == "active":
            fields["status"] = "draft"
        # A product shows its lowest price, so compare_at_price comes from the cheapest variant.
        priced = [variant for variant in self.variants if "price" in variant] or self.variants
        cheapest = min(priced, key=lambda variant: variant.get("price", 0))
        return fields | pick(cheapest, ("compare_at_price",))


def make_variant(slug: str, position: int, values: dict[str, Any]) -> VariantDraft:
    fields = pick(values, VARIANT_FIELDS) | {"position": position}
    if "barcode" in fields:
        # Shopify's export puts an apostrophe before a barcode, so that spreadsheets don't round it.
        fields["barcode"] = fields["barcode"].removeprefix("'")
    sku = values.get("sku") or make_sku(slug, values["options"])
    place, on_hand = Line(values["line"]), values.get("stock")
    return VariantDraft(place, fields, sku=sku, on_hand=on_hand, has_made_sku="sku" not in values)


def read_columns(row: RowReader, record: Record, columns: dict[str, str]) -> dict[str, Any]:
    values = {
        name: row.read_cell(column, SHOPIFY_FIELDS[name], record.cells[column])
        for column, name in columns.items()
        if column in record.cells
    }
    return {name: value for name, value in values.items() if value is not Blank.KEEPS}


def read_options(row: RowReader, record: Record, part: str) -> dict[int, str]:
    """The filled cells of Option1 to Option3, by number. `part` is `Name` or `Value`."""
    columns = {number: f"Option{number} {part}" for number in (1, 2, 3)}
    values = {
        number: row.read_cell(column, SHOPIFY_FIELDS["option"], record.cells.get(column))
        for number, column in columns.items()
    }
    return {number: value for number, value in values.items() if value is not Blank.KEEPS}


def make_sku(slug: str, options: dict[str, str]) -> str:
    """The handle and the options, joined by dots: `shirt.small.red`. No handle has a dot, so no other SKU is equal."""
    return shorten_sku(".".join([slug, *(make_slug(value, 255) for value in options.values())]))


def shorten_sku(sku: str) -> str:
    return sku if len(sku) <= 100 else f"{sku[:91]}.{fingerprint(sku)}"
