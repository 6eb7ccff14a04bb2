"""PrestaShop's products: its template for imports, and the export of its back office. One row is one product.

Columns have the names of the shop's language.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from catalog.imports.errors import BadFile
from catalog.imports.formats.rows import RowReader
from catalog.imports.formats.shop import ColumnMap, ProductRows, ShopFormat, read_texts
from catalog.imports.money import drop_currency
from catalog.imports.numbers import round_half_up, write_number
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import Field
from catalog.writes.drafts import ProductDraft
from catalog.writes.values import CENT, PRICE, count_digits

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
    "price tax excl": "price",
    "price tax included": "price",
    "price tax incl": "price",
    "price tax excluded or price tax included": "price",
    "ean13": "barcode",
    "ean 13": "barcode",
    "upc": "barcode",
    "weight": "weight",
    "quantity": "stock",
}
IDS = ("product id", "id")
REFERENCE = "reference"
CATEGORIES = ("categories", "category")
# The second is the condition of the goods in some languages' templates.
ACTIVE = ("active", "status")
STATUSES = dict.fromkeys(("1", "yes", "true", "enabled", "on"), "active") | dict.fromkeys(
    ("0", "no", "false", "disabled", "off"), "draft"
)
IMAGES = ("image urls", "image")
ALTS = "image alt texts"
SLUG = "url rewritten"
# A table of combinations has prices that are added to a product's, which it doesn't have.
COMBINATIONS = {"attribute", "impact on price"}
# How the template says that a cell is written: `(x,y,z...)`, `(0/1)`, `(Name:Type:Position)`.
FORM = re.compile(r"\((?:\s*[x0]\b[^)]*|[^():]*:[^)]*)\)")
WORD = re.compile(r"[^\W_]+")

# The names of a German, French, Spanish, Italian or Polish shop, without signs.
TRANSLATIONS = {
    "product id": ("produkt id", "id produit", "id prodotto", "codice prodotto", "id produktu"),
    "active": ("aktiv", "actif", "activo", "attivo", "aktywny"),
    "status": ("état", "estado", "stato", "stan"),
    "name": ("nom", "nombre", "nome", "nazwa"),
    "categories": ("kategorien", "catégories", "categorías", "categorie", "nomi delle categorie", "kategorie"),
    "category": ("catégorie", "categoría", "categoria", "kategoria"),
    "price tax excluded": (
        "preis zzgl mwst", "prix hors taxe", "prix ht", "precio impuestos excluidos", "precio sin iva",
        "prezzo tasse escluso", "prezzo tasse escluse", "cena bez podatku netto",
    ),
    "price tax included": (
        "preis inkl mwst", "prix ttc", "precio impuestos incluidos", "precio con iva", "prezzo tasse incl",
        "prezzo tasse incluse", "cena zawiera podatek brutto",
    ),
    "reference": ("artikel nr", "référence", "referencia", "referencia nº", "referencia n", "riferimento", "indeks"),
    "manufacturer": (
        "hersteller", "marke", "fabricant", "marque", "fabricante", "marca", "produttore", "producent", "marka",
    ),
    "ean13": ("kod ean13",),
    "upc": ("kod kreskowy upc",),
    "weight": ("gewicht", "poids", "peso", "waga"),
    "quantity": ("menge", "quantité", "cantidad", "quantità", "ilość"),
    "summary": ("récapitulatif", "résumé", "resumen", "sommario", "podsumowanie"),
    "short description": ("kurzbeschreibung", "description courte", "descripción corta", "breve descrizione"),
    "description": ("beschreibung", "descripción", "descrizione", "opis"),
    "tags": ("mots clés", "mot clés", "etiquetas", "tag", "tagi"),
    "meta title": ("meta titel", "balise titre", "meta título", "meta titolo", "meta tytuł"),
    "meta description": ("meta beschreibung", "meta descripción", "meta descrizione", "opis meta"),
    "url rewritten": (
        "benutzerfreundliche url", "url réécrite", "enlace reescrito", "url comprensibile", "przepisany url",
    ),
    "image urls": (
        "urls der bilder", "url des images", "url s de las imágenes", "urls de las imágenes", "url delle immagini",
        "adresy url zdjęcia",
    ),
    "image": ("bild", "imagen", "immagine", "url immagine di copertina", "zdjęcie"),
    "image alt texts": ("textes alternatif des images", "tekst alternatywny dla zdjęć"),
    "attribute": ("eigenschaft variante", "attribut", "atributo", "attributo", "atrybut"),
    "impact on price": (
        "auswirkungen auf den preis", "impact sur le prix", "impacto sobre el precio", "impatto sul prezzo",
        "wpływ na cenę",
    ),
}  # fmt: skip
ENGLISH = {other: name for name, others in TRANSLATIONS.items() for other in others}


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
        self.columns: dict[str, list[str]] = {}
        for column in source.columns:
            self.columns.setdefault(normalise(column), []).append(column)
        if self.columns.keys() >= COMBINATIONS:
            raise BadFile(
                f"{source.name} is PrestaShop's table of combinations, whose prices are added to their product's:"
                " send the products, and the combinations as a plain CSV with a price each"
            )
        self.fields |= self.make_weight("") | {"price": Field(self.read_price)}
        self.product, self.variant = self.map_own(PRODUCT), self.map_own(VARIANT)

    @classmethod
    @cache
    def spellings(cls) -> Mapping[str, str]:
        return {**super().spellings(), **ENGLISH}

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        names = {normalise(column) for column in columns}
        prices = {name for name, field in VARIANT.items() if field == "price"}
        return names >= COMBINATIONS or ("name" in names and bool(names & prices))

    def list_read(self) -> Iterable[str]:
        return self.list_own(*PRODUCT, *VARIANT, *IDS, REFERENCE, *CATEGORIES, *ACTIVE, *IMAGES, ALTS, SLUG)

    def list_own(self, *names: str) -> list[str]:
        """The file's columns of our names, in the order of the names."""
        return [column for name in names for column in self.columns.get(name, ())]

    def map_own(self, fields: ColumnMap) -> ColumnMap:
        return {column: field for name, field in fields.items() for column in self.list_own(name)}

    def find_name(self, column: str) -> str:
        return normalise(column)

    def group(self, record: Record) -> str:
        reference = read_texts(record, self.list_own(REFERENCE))
        return reference or f"id:{read_texts(record, self.list_own(*IDS))}"

    def read_price(self, cell: Any) -> Decimal:
        """Rounded: the shop keeps prices with six decimal places, since it adds the tax to them."""
        price = PRICE.parse(write_number(drop_currency(cell), self.options.decimal))
        if count_digits(price)[1] > count_digits(CENT)[1]:
            self.source.notes.guess("price", "two decimal places", "PrestaShop has six, so its prices are rounded")
        return PRICE.check(round_half_up(price))

    def read_product(self, product: ProductRows, records: Sequence[Record]) -> ProductDraft:
        (record,) = records
        row = product.open_row(record)
        if product.name == "id:":
            row.refuse("Reference", "is blank, and so is the product's id", "give each product one of them")
        product.read_product(row, record, self.product)
        if categories := split_list(read_texts(record, self.list_own(*CATEGORIES))):
            first = self.take_first(categories)
            product.values["category"] = row.read_cell("Categories", self.fields["category"], first)
        self.read_status(product, row, record)
        self.read_images(product, row, record)
        slug = row.read_cell("URL rewritten", self.fields["slug"], read_texts(record, self.list_own(SLUG)))
        product.add_variant(row, product.read(row, record, self.variant) | {"sku": product.name}, {})
        return product.draft(sku=product.name, slug=slug if isinstance(slug, str) else "")

    def read_status(self, product: ProductRows, row: RowReader, record: Record) -> None:
        first, second = (read_texts(record, self.list_own(name)).lower() for name in ACTIVE)
        if first and first not in STATUSES:
            row.refuse(self.list_own(ACTIVE[0])[0], "is neither 1 nor 0", "write 1, or 0 for a draft", repr(first))
        if status := STATUSES.get(first or second):
            product.values["status"] = status

    def read_images(self, product: ProductRows, row: RowReader, record: Record) -> None:
        alts = split_list(read_texts(record, self.list_own(ALTS)))
        for column in self.list_own(*IMAGES):
            urls = split_list(read_texts(record, (column,)))
            # Which text is whose is only clear if each picture has one.
            for url, alt in zip(urls, alts if len(alts) == len(urls) else [""] * len(urls), strict=True):
                text = row.read_cell("Image alt texts", self.fields["alt"], alt)
                product.add_images(row, column, [url], **({"alt": text} if text else {}))


def normalise(column: str) -> str:
    """`Name *` and `Nom*` are name, and `Kategorien (x,y,z...)` is categories."""
    name = " ".join(WORD.findall(FORM.sub("", column.lower())))
    return ENGLISH.get(name, name)


def split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
