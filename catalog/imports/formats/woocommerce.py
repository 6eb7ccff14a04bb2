"""WooCommerce's product export. A row of the type `variation` belongs to the row that its Parent names.

Parent is a SKU, or `id:10` if the product has none.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ProductRows, ShopFormat, choose_price, read_texts, refuse_collection
from catalog.imports.numbers import find_unit
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import is_blank
from catalog.querysets import MAIN
from catalog.writes.drafts import ProductDraft

PRODUCT = {
    "Name": "title",
    "Description": "description",
    "Short description": "description",  # if there is no long one
    "Tags": "tags",
}
VARIANT = {
    "SKU": "sku",
    "GTIN, UPC, EAN, or ISBN": "barcode",
    "Stock": "stock",
    "Sale price": "sale_price",
    "Regular price": "regular_price",
}
OTHERS = ("ID", "Type", "Published", "In stock?", "Brands", "Categories", "Images", "Parent")
SALE_DATES = ("Date sale price starts", "Date sale price ends")
# What a variation has as its stock if the number is its product's.
SHARED = "parent"
ATTRIBUTE = re.compile(r"Attribute (\d+) (name|value\(s\))")
# Values with a comma of their own have it as `\,`.
COMMA = re.compile(r"(?<!\\),")

# An export has its columns in the language of its shop. `{}` is the number of an attribute.
TRANSLATIONS = {
    "SKU": ("Artikelnummer", "UGS"),
    "Type": ("Typ", "Tipo"),
    "Name": ("Nom", "Nombre"),
    "Published": ("Veröffentlicht", "Publié", "Publicado"),
    "Short description": ("Kurzbeschreibung", "Description courte", "Descripción corta"),
    "Description": ("Beschreibung", "Descripción"),
    "Date sale price starts": (
        "Datum, an dem Angebotspreis beginnt",
        "Date de début de promo",
        "Día en que empieza el precio rebajado",
    ),
    "Date sale price ends": (
        "Datum, an dem Angebotspreis endet",
        "Date de fin de promo",
        "Día en que termina el precio rebajado",
    ),
    "GTIN, UPC, EAN, or ISBN": ("GTIN, UPC, EAN oder ISBN", "GTIN, UPC, EAN ou ISBN", "GTIN, UPC, EAN o ISBN"),
    "In stock?": ("Vorrätig?", "En stock ?", "¿Existencias?"),
    "Stock": ("Lager", "Bestand", "Inventario"),
    "Sale price": ("Angebotspreis", "Tarif promo", "Precio rebajado"),
    "Regular price": ("Regulärer Preis", "Tarif régulier", "Precio normal"),
    "Categories": ("Kategorien", "Catégories", "Categorías"),
    "Tags": ("Schlagwörter", "Étiquettes", "Etiquetas"),
    "Images": ("Bilder", "Imágenes"),
    "Brands": ("Marken", "Marques", "Marcas"),
    "Parent": ("Übergeordnetes Produkt", "Superior", "Principal"),
    "Attribute {} name": (
        "Attribut {} Name",
        "Nom de l\u2019attribut {}",
        "Nom de l'attribut {}",
        "Nombre del atributo {}",
    ),
    "Attribute {} value(s)": (
        "Attribut {} Wert(e)",
        "Valeur(s) de l\u2019attribut {}",
        "Valeur(s) de l'attribut {}",
        "Valor(es) del atributo {}",
    ),
} | {
    f"Weight ({unit})": (f"Gewicht ({unit})", f"Poids ({unit})", f"Peso ({unit})") for unit in ("kg", "g", "lbs", "oz")
}


class WooCommerce(ShopFormat):
    name = "woocommerce"
    label = "WooCommerce CSV"
    fields_of = PRODUCT | VARIANT | {"Brands": "brand"}
    is_grouped = True
    known = frozenset(
        {*PRODUCT, *VARIANT, *SALE_DATES, *OTHERS}
        | {f"Attribute {number} {part}" for number in range(1, 31) for part in ("name", "value(s)")}
    )

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.weight = next((column for column in source.columns if column.startswith("Weight")), "")
        self.fields |= self.make_weight(find_unit(self.weight))
        self.fields |= dict.fromkeys(("sale_price", "regular_price"), self.fields["price"])
        self.numbers = sorted({int(found[1]) for column in source.columns if (found := ATTRIBUTE.fullmatch(column))})

    @classmethod
    @cache
    def spellings(cls) -> Mapping[str, str]:
        translated = {
            other.format(number).lower(): name.format(number)
            for name, others in TRANSLATIONS.items()
            for other in (name, *others)
            for number in (range(1, 31) if "{}" in name else (0,))
        }
        return {**super().spellings(), **translated}

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return columns >= {"Type", "SKU", "Name"} and bool(columns & {"Regular price", "Published"})

    def list_read(self) -> Iterable[str]:
        return {*self.known, self.weight}

    def name_own(self, record: Record) -> str:
        return read_texts(record, ("SKU",)) or f"id:{read_texts(record, ('ID',))}"

    def is_variation(self, record: Record) -> bool:
        return "variation" in str(record.cells.get("Type", "")).lower()

    def group(self, record: Record) -> str:
        parent = read_texts(record, ("Parent",))
        return parent if parent and self.is_variation(record) else self.name_own(record)

    def list_joined(self, record: Record) -> Iterable[str]:
        number = read_texts(record, ("ID",))
        return () if self.is_variation(record) or not number else (f"id:{number}",)

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        own = [record for record in records if not self.is_variation(record)]
        variations = [record for record in records if self.is_variation(record)]
        if not own:
            row = product.open_row(records[0])
            row.refuse(
                "Parent", "has no row of its own in the file", "add the variable product's row", repr(product.name)
            )
            product.finish()
        refuse_collection(product, own[0], "Type")
        self.read_own(product, own[0], variations)
        for record in own[1:]:
            row = product.open_row(record)
            row.refuse("SKU", f"is already on line {own[0].line}", "keep one of the two", repr(self.name_own(record)))
        for record in variations:
            self.read_variation(product, record, own[0])
        return product.draft(sku=self.name_own(own[0]))

    def read_own(self, product: ProductRows, record: Record, variations: Sequence[Record]) -> None:
        row = product.open_row(record)
        product.read_product(row, record, PRODUCT)
        self.read_links(product, row, record)
        if not is_blank(published := record.cells.get("Published")):
            product.values["status"] = "active" if str(published).strip() == "1" else "draft"
        product.add_images(row, "Images", split_list(record.cells.get("Images")))
        options = {name for variation in variations for name in self.list_attributes(variation)}
        for name, value in self.list_attributes(record).items():
            if name not in options:
                texts = split_list(value)
                product.attributes[name] = texts if len(texts) > 1 else "".join(texts)
        if not variations:
            values = self.read_values(product, row, record)
            product.add_variant(row, values | {"sku": self.name_own(record)}, {}, values.pop("pieces"))

    def read_links(self, product: ProductRows, row: RowReader, record: Record) -> None:
        """The first of several categories and brands."""
        for column, field in (("Categories", "category"), ("Brands", "brand")):
            if column in record.cells:
                name = self.take_first(split_list(record.cells[column]), field)
                product.values[field] = row.read_cell(column, self.fields[field], name)

    def read_variation(self, product: ProductRows, record: Record, own: Record) -> None:
        row = product.open_row(record)
        values = self.read_values(product, row, record, own)
        options = {
            name: product.read_option(row, name, value.replace("\\,", ","))
            for name, value in self.list_attributes(record).items()
        }
        for image in split_list(record.cells.get("Images")):
            product.add_images(row, "Images", [image])
        product.add_variant(row, values, options, values.pop("pieces"))

    def read_values(
        self, product: ProductRows, row: RowReader, record: Record, own: Record | None = None
    ) -> dict[str, Any]:
        """Price, weight and pieces. A variation without a weight has its product's."""
        has_shared_stock = read_texts(record, ("Stock",)).lower() == SHARED
        if has_shared_stock:
            record = Record(record.line, record.cells | {"Stock": ""}, record.fault)
        values = product.read(row, record, VARIANT | ({self.weight: "weight"} if self.weight else {}))
        if own and self.weight and is_blank(record.cells.get(self.weight)):
            values |= product.read(row, own, {self.weight: "weight"})
        if not self.is_on_sale(row, record, SALE_DATES):
            values.pop("sale_price", None)
        pieces = {MAIN: values["stock"]} if "stock" in values else {}
        if has_shared_stock:
            reason = "the variations of a product share one number, so their pieces stay as they are"
            self.source.notes.guess("stock", "none", reason)
        if not pieces and read_texts(record, ("In stock?",)) == "0":
            pieces = {MAIN: 0}
        return choose_price(values, "regular_price", "sale_price") | {"pieces": pieces}

    def list_attributes(self, record: Record) -> dict[str, str]:
        found = {}
        for number in self.numbers:
            name, value = (read_texts(record, (f"Attribute {number} {part}",)) for part in ("name", "value(s)"))
            if name and value:
                found[name] = value
        return found


def split_list(cell: Any) -> list[str]:
    """The entries of a comma-separated list."""
    parts = COMMA.split(str(cell)) if not is_blank(cell) else []
    return [part.replace("\\,", ",").strip() for part in parts if part.strip()]
