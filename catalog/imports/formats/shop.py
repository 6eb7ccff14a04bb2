"""What the formats of shops share: the rows of one product are read into its values, variants and images, then drafted.

A format says which columns are whose. All rules of values, and what a bad row means, are here: a product with a bad row
is left out as a whole, since without one of its variants it could have a wrong price.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

from catalog.imports.days import read_day
from catalog.imports.errors import BadRow, Line
from catalog.imports.formats.base import Format
from catalog.imports.formats.rows import RowReader, draft_image, keep_first, name_key, pick
from catalog.imports.numbers import Weights, read_oversold, write_number
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.values import (
    MOST_PARTS,
    Blank,
    Field,
    is_blank,
    make_fields,
    read_published,
    split_addresses,
)
from catalog.querysets import MAIN
from catalog.writes.drafts import Command, ImageDraft, ProductDraft, VariantDraft
from catalog.writes.slugs import fingerprint, make_slug
from catalog.writes.values import OPTION

PRODUCT_FIELDS = ("title", "status", "rating")
TEXT_FIELDS = ("description", "seo_title", "seo_description")
LINK_FIELDS = ("brand", "category")
VARIANT_FIELDS = ("barcode", "price", "weight")

# Our field by the file's column.
type ColumnMap = Mapping[str, str]


@dataclass(slots=True)
class VariantRow:
    """A variant as its row says it. `values` are checked, by field."""

    line: int
    values: dict[str, Any]
    # By name, or by number if the names stand in another row.
    options: dict[Any, str]
    pieces: dict[str, int] = field(default_factory=dict)


class ShopFormat(Format):
    """A format of a shop system: fixed columns, and decimal points."""

    # The unit of weights whose column doesn't name one; empty means that it must be asked for.
    unit: ClassVar[str] = ""

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.refuse_map()
        self.fields = make_fields(options, source.notes, has_dots=True, unit=self.unit) | {
            "stock": Field(lambda cell: read_oversold(write_number(cell, options.decimal))),
            "published": Field(read_published),
            "option": Field(OPTION.read),
            "day": Field(read_day, blank=None),
        }

    def make_weight(self, unit: str) -> dict[str, Field]:
        """The field of weights in this unit; without one, and without the option, it is asked for."""
        decimal, wanted = self.options.decimal or ".", unit or self.options.weight_unit
        return {"weight": Field(Weights(decimal, wanted, self.source.notes, must_ask=not wanted).read)}

    def is_on_sale(self, row: RowReader, record: Record, columns: Sequence[str]) -> bool:
        """Whether today is between the days in the two columns. A blank cell is no limit."""
        today = date.today()  # noqa: DTZ011 (the shop's days, whose zone the file doesn't have)
        start, end = (row.read_cell(column, self.fields["day"], record.cells.get(column)) for column in columns)
        # A day that can't be read leaves out the row.
        return Blank.KEEPS not in (start, end) and (start or today) <= today <= (end or today)

    def take_first(self, names: Sequence[str], field: str = "category") -> str:
        """The first of several categories or brands, since a product has one here. Empty if there is none."""
        if len(names) > 1:
            self.source.notes.guess(field, names[0], f"a product has one {field} here, so the first is taken")
        return names[0] if names else ""

    def draft(self, records: Sequence[Record]) -> ProductDraft | None:
        product = ProductRows(self.fields, self.name_product(records[0]))
        if len(records) > MOST_PARTS:
            row = product.open_row(records[0])
            row.refuse("", f"the product has {len(records):,} rows", f"give at most {MOST_PARTS:,}")
            product.finish()
        return self.read_product(product, records)

    def name_product(self, record: Record) -> str:
        """The product's key for messages."""
        return self.group(record)

    def read_product(self, product: "ProductRows", records: Sequence[Record]) -> ProductDraft | None:
        """Fill the product from its rows, and draft it. Raises BadRow."""
        raise NotImplementedError


class ProductRows:
    """Collects what the rows of one product say. Every method may collect errors, which `finish` raises."""

    def __init__(self, fields: Mapping[str, Field], key: str) -> None:
        self.fields = fields
        self.name = key
        self.key = name_key(key)
        self.option_names: dict[int, str] = {}
        self.values: dict[str, Any] = {}
        self.attributes: dict[str, Any] = {}
        self.variants: list[VariantRow] = []
        self.images: list[ImageDraft] = []
        self.rows: list[RowReader] = []
        self.command = Command.NONE

    def open_row(self, record: Record) -> RowReader:
        row = RowReader(record, self.key)
        self.rows.append(row)
        return row

    def require_key(self, record: Record, column: str, remedy: str) -> None:
        """Raises BadRow if the product has no key: nobody can say whose such a row is."""
        if not self.name:
            self.open_row(record).refuse(column, "is blank", remedy)
            self.finish()

    def read(self, row: RowReader, record: Record, columns: ColumnMap) -> dict[str, Any]:
        """The values of the columns that the file has, by field."""
        values: dict[str, Any] = {}
        for column, name in columns.items():
            if column in record.cells:
                value = row.read_cell(column, self.fields[name], record.cells[column])
                # Two columns of one field are alternatives: the first filled one is taken.
                if value is not Blank.KEEPS and not values.get(name):
                    values[name] = value
        return values

    def read_product(self, row: RowReader, record: Record, columns: ColumnMap) -> None:
        self.values = self.read(row, record, columns) | self.values

    def add_variant(
        self, row: RowReader, values: dict[str, Any], options: Mapping[Any, str], pieces: dict[str, int] | None = None
    ) -> None:
        options = dict(options)
        if same := next((other for other in self.variants if other.options == options), None):
            row.refuse("Option values", f"are the same as on line {same.line}", "give each variant its own")
        if pieces is None:
            pieces = {MAIN: values["stock"]} if "stock" in values else {}
        self.variants.append(VariantRow(row.line, values, options, pieces))

    def read_option(self, row: RowReader, column: str, cell: Any) -> str:
        value = row.read_cell(column, self.fields["option"], cell)
        return "" if value is Blank.KEEPS else value

    def read_options(self, row: RowReader, record: Record, columns: Iterable[tuple[str, str, str]]) -> dict[str, str]:
        """A variant's options. `columns` are those of a name and of its value, and the name if that cell is blank."""
        options = {}
        for name, value, default in columns:
            if text := self.read_option(row, value, record.cells.get(value)):
                options[self.read_option(row, name, record.cells.get(name)) or default] = text
        return options

    def add_images(self, row: RowReader, column: str, cell: Any, **members: Any) -> None:
        """Add the addresses in the cell, as a text or a list. `members` are alt and position of the first."""
        parts = cell if isinstance(cell, list) else split_addresses(str(cell or ""))
        for part in parts:
            url = row.read_cell(column, self.fields["image_url"], part)
            if url is not Blank.KEEPS:
                self.images.append(draft_image(row.place, {"url": url} | members))
            members = {}

    def finish(self) -> None:
        if refusals := [refusal for row in self.rows for refusal in row.refusals]:
            raise BadRow(sorted(refusals, key=lambda refusal: refusal.line))

    def draft(self, *, handle: str = "", sku: str = "", slug: str = "") -> ProductDraft:
        """The draft of a product that is found by its handle, else by its SKU. Raises BadRow with all rows' errors.

        `slug` is the slug of a new product that is found by its SKU.
        """
        self.finish()
        base = make_slug(handle, 255) if handle else sku
        if not self.variants:
            self.variants.append(VariantRow(self.rows[0].line, {}, {}))
        for variant in self.variants:
            self.name_options(variant)
        return ProductDraft(
            self.rows[0].place,
            sku=sku or self.variants[0].values.get("sku") or shorten_sku(base),
            slug=base if handle else slug,
            is_found_by_slug=bool(handle),
            fields=self.make_fields(),
            text=pick(self.values, TEXT_FIELDS),
            links=pick(self.values, LINK_FIELDS),
            attributes=self.attributes | pick(self.values, ("tags",)),
            variants=tuple(draft_variant(base, number, row) for number, row in enumerate(self.variants, 1)),
            images=keep_first(self.images) if self.images else None,
            command=self.command,
        )

    def name_options(self, variant: VariantRow) -> None:
        names = {number: self.option_names.get(number, f"Option{number}") for number in (1, 2, 3)}
        variant.options = {names.get(name, name): value for name, value in variant.options.items()}
        # Shopify writes this for a product without options.
        if variant.options == {"Title": "Default Title"}:
            variant.options = {}

    def draft_deletion(self, *, handle: str = "", sku: str = "") -> ProductDraft:
        self.finish()
        slug = make_slug(handle, 255) if handle else ""
        place = self.rows[0].place
        return ProductDraft(place, sku=sku or None, slug=slug, is_found_by_slug=bool(handle), command=Command.DELETE)

    def make_fields(self) -> dict[str, Any]:
        fields = pick(self.values, PRODUCT_FIELDS)
        if "status" not in fields and "published" in self.values:
            fields["status"] = "active"
        if self.values.get("published") is False and fields.get("status") == "active":
            fields["status"] = "draft"
        # A product shows its lowest price, so compare_at_price comes from the cheapest variant.
        priced = [row.values for row in self.variants if "price" in row.values] or [self.variants[0].values]
        cheapest = min(priced, key=lambda values: values.get("price", 0))
        return fields | pick(cheapest, ("compare_at_price",))


def name_group(handle: str) -> str:
    """The key of rows with this handle: its slug, by which the product is found. `Mug` and `mug` are one product."""
    return make_slug(handle, 255) if handle else ""


def draft_variant(base: str, position: int, row: VariantRow) -> VariantDraft:
    fields = pick(row.values, VARIANT_FIELDS) | {"options": row.options, "position": position}
    sku = row.values.get("sku") or make_sku(base, row.options)
    return VariantDraft(Line(row.line), fields, sku=sku, pieces=row.pieces, has_made_sku="sku" not in row.values)


def make_sku(base: str, options: Mapping[str, str]) -> str:
    """The handle and the options, joined by dots: `shirt.small.red`. No handle has a dot, so no other SKU is equal."""
    return shorten_sku(".".join([base, *(make_slug(value, 255) for value in options.values())]))


def shorten_sku(sku: str) -> str:
    return sku if len(sku) <= 100 else f"{sku[:91]}.{fingerprint(sku)}"


def choose_price(values: dict[str, Any], regular: str, sale: str) -> dict[str, Any]:
    """With a sale price below the regular one, that is the price, and the regular one is the price before."""
    price, lower = values.pop(regular, None), values.pop(sale, None)
    if lower is not None and (price is None or lower < price):
        return values | {"price": lower} | ({"compare_at_price": price} if price is not None else {})
    return values | ({"price": price, "compare_at_price": None} if price is not None else {})


def refuse_collection(product: ProductRows, record: Record, column: str) -> None:
    """Raises BadRow for a product that sells others together: it has no price and no stock of its own."""
    kind = read_texts(record, (column,)).lower()
    if kind in ("grouped", "bundle"):
        rule = "is made of other products, and has no price of its own here"
        product.open_row(record).refuse(column, rule, "leave the row out, or make it a simple product", repr(kind))
        product.finish()


def find_cell(record: Record, *columns: str) -> Any:
    """The first filled cell of these columns; None if all are blank."""
    return next((cell for column in columns if not is_blank(cell := record.cells.get(column))), None)


def read_texts(record: Record, columns: Iterable[str]) -> str:
    """The first filled cell as a text without blanks around it."""
    cell = find_cell(record, *columns)
    return "" if cell is None else str(cell).strip()
