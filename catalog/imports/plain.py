"""Records of a plain CSV or NDJSON file in, drafts or errors out. One record is one product."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from catalog.imports.errors import BadRow, Line, Refusal
from catalog.imports.mapping import Columns
from catalog.imports.readers import Record
from catalog.imports.values import ALT_FIELD, FIELDS, POSITION_FIELD, Blank, Cell, Field, is_blank
from catalog.writes.drafts import ImageDraft, ProductDraft, Values, VariantDraft
from catalog.writes.values import BadMembers, BadValue, show_value

PRODUCT_FIELDS = ("slug", "title", "status", "compare_at_price", "rating")
TEXT_FIELDS = ("description", "seo_title", "seo_description")
LINK_FIELDS = ("brand", "category")
VARIANT_FIELDS = ("barcode", "options", "price", "weight")
# The members of an entry in the lists `variants` and `images`.
VARIANT_ROW = {name: FIELDS[name] for name in ("sku", *VARIANT_FIELDS, "stock")}
IMAGE_ROW = {"url": FIELDS["image"], "alt": ALT_FIELD, "position": POSITION_FIELD}


class RowReader:
    """Reads the cells of one row and collects the errors. `key` is the row's SKU or handle, for messages."""

    def __init__(self, record: Record, key: str) -> None:
        self.line = record.line
        self.place = Line(record.line)
        self.key = key
        self.refusals: list[Refusal] = []
        self.is_broken = bool(record.fault)
        if record.fault:
            self.refusals.append(Refusal(self.line, key, f"the row {record.fault}"))

    def refuse(self, reason: str) -> None:
        # In a broken row the cells may be in wrong columns, so further errors would mislead.
        if not self.is_broken:
            self.refusals.append(Refusal(self.line, self.key, reason))

    def read_cell(self, column: str, field: Field, cell: Cell) -> Any:
        """The cell's value; Blank.KEEPS if the field shall not change or the value has an error."""
        return field.blank if is_blank(cell) else self.read_value(column, field, cell)

    def read_value(self, column: str, field: Field, cell: Cell) -> Any:
        try:
            return field.read(cell)
        except BadValue as error:
            self.refuse_value(column, cell, error)
        except BadMembers as error:
            for name, (value, reason) in error.members.items():
                self.refuse_value(f"{column}.{name}", value, reason)
        return Blank.KEEPS

    def refuse_value(self, column: str, cell: Cell, error: BadValue) -> None:
        self.refuse(f"{column}: {error.tell(cell)}")

    def read_row(self, cells: Mapping[str, Cell], fields: Mapping[str, Field], prefix: str = "") -> dict[str, Any]:
        """The values of the `fields` that have a cell."""
        values = {
            name: self.read_cell(prefix + name, field, cells[name]) for name, field in fields.items() if name in cells
        }
        return {name: value for name, value in values.items() if value is not Blank.KEEPS}

    def finish(self) -> None:
        if self.refusals:
            raise BadRow(self.refusals)


def draft_products(records: Iterable[Record], columns: Columns) -> Iterator[ProductDraft | BadRow]:
    for record in records:
        try:
            yield draft_product(record, columns)
        except BadRow as error:
            yield error


def draft_product(record: Record, columns: Columns) -> ProductDraft:
    """Raises BadRow with all errors of the row."""
    sku_cell = record.cells.get(columns["sku"][0])
    row = RowReader(record, "" if is_blank(sku_cell) else show_value(sku_cell)[1:-1])
    if is_blank(sku_cell):
        row.read_value(columns["sku"][0], FIELDS["sku"], sku_cell or "")
    values = read_values(row, record, columns)
    images = read_images(row, values)
    variants = read_variants(row, values)
    row.finish()
    return ProductDraft(
        row.place,
        sku=values["sku"],
        slug=values.get("slug", ""),
        fields=pick(values, PRODUCT_FIELDS),
        text=pick(values, TEXT_FIELDS),
        links=pick(values, LINK_FIELDS),
        attributes=values.get("attributes", {}) | pick(values, ("tags",)),
        only=None if "variants" in values else draft_only(row.place, values),
        variants=variants,
        images=images,
    )


def read_values(row: RowReader, record: Record, columns: Columns) -> dict[str, Any]:
    """The value of each mapped field. Errors name the file's column."""
    values = {}
    for name, path in columns.items():
        if any(column in record.cells for column in path):
            cells = [record.cells.get(column) for column in path]
            cell = cells[0] if len(path) == 1 else [part for part in cells if not is_blank(part)] or None
            value = row.read_cell("/".join(path), FIELDS[name], cell)
            if value is not Blank.KEEPS:
                values[name] = value
    return values


def pick(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def draft_only(place: Line, values: Values) -> VariantDraft | None:
    """The variant with the product's own SKU; None if the row has no values for it."""
    fields, on_hand = pick(values, VARIANT_FIELDS), values.get("stock")
    return VariantDraft(place, fields, sku=values["sku"], on_hand=on_hand) if fields or on_hand is not None else None


def read_variants(row: RowReader, values: Mapping[str, Any]) -> tuple[VariantDraft, ...] | None:
    if "variants" not in values:
        return None
    if not values["variants"]:
        row.refuse("variants: is an empty list; leave it out")
    read = (read_variant(row, position, cells) for position, cells in enumerate(values["variants"], 1))
    return tuple(variant for variant in read if variant)


def read_variant(row: RowReader, position: int, cells: Any) -> VariantDraft | None:
    prefix = f"variants[{position}]."
    if not isinstance(cells, dict) or is_blank(cells.get("sku")):
        row.refuse(f'{prefix}sku: is missing; write {{"sku": …, "price": …}}')
        return None
    values = row.read_row(cells, VARIANT_ROW, prefix)
    fields = pick(values, VARIANT_FIELDS) | {"position": position}
    return VariantDraft(Line(row.line, prefix), fields, sku=values.get("sku"), on_hand=values.get("stock"))


def read_images(row: RowReader, values: Mapping[str, Any]) -> tuple[ImageDraft, ...] | None:
    """First the column `image`, then the list `images`; each URL once. None if the row has neither."""
    if not values.keys() & {"image", "images"}:
        return None
    images = [draft_image(row.place, {"url": values["image"]})] if "image" in values else []
    for number, cell in enumerate(values.get("images", []), 1):
        image = read_image(row, f"images[{number}].", cell)
        images += [image] if image else []
    return keep_first(images)


def draft_image(place: Line, fields: Values) -> ImageDraft:
    return ImageDraft(place, fields, url=fields["url"])


def read_image(row: RowReader, prefix: str, cell: Any) -> ImageDraft | None:
    cells = cell if isinstance(cell, dict) else {"url": cell}
    if is_blank(cells.get("url")):
        row.refuse(f'{prefix}url: is missing; write {{"url": …, "alt": …}}')
        return None
    values = row.read_row(cells, IMAGE_ROW, prefix)
    return draft_image(Line(row.line, prefix), values) if "url" in values else None


def keep_first(images: Iterable[ImageDraft]) -> tuple[ImageDraft, ...]:
    by_url: dict[str | None, ImageDraft] = {}
    for image in images:
        by_url.setdefault(image.url, image)
    return tuple(by_url.values())
