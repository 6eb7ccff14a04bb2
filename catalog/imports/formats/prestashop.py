"""PrestaShop's products: its template for imports, and the export of its back office. One row is one product."""

import re
from collections.abc import Iterable, Sequence

from catalog.imports.errors import BadFile
from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, read_texts
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import is_blank
from catalog.writes.drafts import ProductDraft

PRODUCT = {
    "name": "title",
    "description": "description",
    "summary": "description",  # if there is no long one
    "short description": "description",
    "manufacturer": "brand",
    "brand": "brand",
    "tags": "tags",
    "meta title": "seo_title",
    "meta description": "seo_description",
}
VARIANT = {
    "price tax excluded": "price",
    "price (tax excl.)": "price",
    "price tax included": "price",
    "price (tax incl.)": "price",
    "price tax excluded or price tax included": "price",
    "ean13": "barcode",
    "ean-13": "barcode",
    "upc": "barcode",
    "weight": "weight",
    "quantity": "stock",
}
IDS = ("product id", "id")
REFERENCES = ("reference #", "reference")
CATEGORIES = ("categories", "category")
ACTIVE = ("active (0/1)", "active", "status")
IMAGES = ("image urls", "image")
ALTS = "image alt texts"
SLUG = "url rewritten"
# A table of combinations has prices that are added to a product's, which it doesn't have.
COMBINATIONS = {"attribute", "impact on price"}
# How the template says that a cell is written.
FORM = re.compile(r"\((?:x,y|name:|value:)[^)]*\)")


class PrestaShop(ShopFormat):
    name = "prestashop"
    label = "PrestaShop's products"
    fields_of = PRODUCT | VARIANT
    known = frozenset({
        "Product ID", "Active (0/1)", "Name *", "Categories (x,y,z...)", "Price tax excluded", "Price tax included",
        "Price (tax excl.)", "Price (tax incl.)", "Reference #", "Reference", "Manufacturer", "EAN13", "UPC", "Weight",
        "Quantity", "Summary", "Tags (x,y,z...)", "Meta title", "Meta description", "URL rewritten",
        "Image URLs (x,y,z...)", "Impact on price",
    })  # fmt: skip

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.names = {column: normalise(column) for column in source.columns}
        if set(self.names.values()) >= COMBINATIONS:
            raise BadFile(
                f"{source.name} is PrestaShop's table of combinations, whose prices are added to their product's:"
                " send the products, and the combinations as a plain CSV with a price each"
            )
        self.fields |= self.make_weight("")

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        names = {normalise(column) for column in columns}
        prices = {name for name, field in VARIANT.items() if field == "price"}
        return names >= COMBINATIONS or ("name" in names and bool(names & prices))

    def list_read(self) -> Iterable[str]:
        read = {*PRODUCT, *VARIANT, *IDS, *REFERENCES, *CATEGORIES, *ACTIVE, *IMAGES, ALTS, SLUG}
        return [column for column, name in self.names.items() if name in read]

    def find_name(self, column: str) -> str:
        return normalise(column)

    def group(self, record: Record) -> str:
        cells = self.rename(record).cells
        reference = next((str(cells[name]).strip() for name in REFERENCES if not is_blank(cells.get(name))), "")
        return reference or f"id:{read_texts(self.rename(record), IDS)}"

    def rename(self, record: Record) -> Record:
        cells = {self.names.get(column, column): cell for column, cell in record.cells.items()}
        return Record(record.line, cells, record.fault)

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        record = self.rename(records[0])
        row = product.open_row(record)
        if product.name == "id:":
            row.refuse("Reference", "is blank, and so is the product's id", "give each product one of them")
        product.read_product(row, record, PRODUCT)
        if categories := split_list(read_texts(record, CATEGORIES)):
            first = self.take_first(categories)
            product.values["category"] = row.read_cell("Categories", self.fields["category"], first)
        if active := read_texts(record, ACTIVE).lower():
            product.values["status"] = "active" if active in ("1", "yes", "true", "enabled", "on") else "draft"
        self.read_images(product, row, record)
        slug = row.read_cell("URL rewritten", self.fields["slug"], record.cells.get(SLUG))
        product.add_variant(row, product.read(row, record, VARIANT) | {"sku": product.name}, {})
        return product.draft(sku=product.name, slug=slug if isinstance(slug, str) else "")

    def read_images(self, product: ProductRows, row: RowReader, record: Record) -> None:
        alts = split_list(read_texts(record, (ALTS,)))
        for column in IMAGES:
            urls = split_list(read_texts(record, (column,)))
            # Which text is whose is only clear if each picture has one.
            for url, alt in zip(urls, alts if len(alts) == len(urls) else [""] * len(urls), strict=True):
                text = row.read_cell("Image alt texts", self.fields["alt"], alt)
                product.add_images(row, column, [url], **({"alt": text} if text else {}))


def normalise(column: str) -> str:
    """`Name *` is name, and `Categories (x,y,z...)` is categories."""
    return FORM.sub("", column.lower()).strip(" *:")


def split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
