"""A file with our own fields as columns (CSV, NDJSON, JSON, XLSX, Parquet): one record is one product.

Our own exports of products are such files, also with `expand`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from catalog.imports.errors import Line
from catalog.imports.formats.base import Format
from catalog.imports.formats.mapping import SLIP, drop_brackets, map_columns, suggest
from catalog.imports.formats.rows import RowReader, draft_image, keep_first, name_key, pick
from catalog.imports.numbers import find_unit
from catalog.imports.options import Options
from catalog.imports.records import Record, Source
from catalog.imports.terms import TermDraft
from catalog.imports.values import FIELDS, Blank, is_blank, make_fields, parse_json
from catalog.querysets import MAIN
from catalog.writes.drafts import ImageDraft, ProductDraft, Values, VariantDraft
from catalog.writes.taxonomy import BrandName, CategoryPath

PRODUCT_FIELDS = ("slug", "title", "status", "compare_at_price", "rating")
TEXT_FIELDS = ("description", "seo_title", "seo_description")
LINK_FIELDS = ("brand", "category")
# What a slug is if the file has no column for the name: slugs are names of brands and categories, too (taxonomy.py).
NAMED_BY_SLUG: Mapping[str, Callable[[str], BrandName | CategoryPath]] = {
    "brand": BrandName,
    "category": lambda slug: CategoryPath((slug,)),
}
VARIANT_FIELDS = ("barcode", "options", "price", "weight")
# The members of an entry in the lists `variants` and `images`.
VARIANT_MEMBERS = ("sku", *VARIANT_FIELDS, "position")
IMAGE_MEMBERS = ("url", "alt", "position")


class Plain(Format):
    name = "csv"
    label = "plain file"
    known = frozenset(FIELDS)
    # What is written to the product's own columns.
    product_fields: ClassVar[tuple[str, ...]] = PRODUCT_FIELDS

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__(source, options)
        self.columns = map_columns(source, options.map)
        unit = find_unit(self.columns["weight"][0]) if "weight" in self.columns else ""
        self.fields = make_fields(replace(options, weight_unit=unit or options.weight_unit), source.notes)
        self.image_fields = {"url": self.fields["image_url"]} | pick(self.fields, IMAGE_MEMBERS)
        self.variant_fields = pick(self.fields, VARIANT_MEMBERS)

    @classmethod
    def recognises(cls, columns: frozenset[str], kind: str) -> bool:
        return True

    def list_read(self) -> Iterable[str]:
        return [column for path in self.columns.values() for column in path]

    def find_field(self, column: str) -> str:
        return next(field for field, path in self.columns.items() if column in path)

    def list_unread(self) -> list[dict[str, str]]:
        free = set(FIELDS) - self.columns.keys()
        read = set(self.list_read())
        return [
            {"column": column, "near": suggest(drop_brackets(column), free, SLIP) or ""}
            for column in self.name_columns()
            if column not in read
        ]

    def draft(self, records: Sequence[Record]) -> ProductDraft | TermDraft:
        (record,) = records
        sku_cell = record.cells.get(self.columns["sku"][0])
        row = RowReader(record, name_key(sku_cell))
        if is_blank(sku_cell):
            row.read_value(self.columns["sku"][0], self.fields["sku"], sku_cell or "")
        values = self.read_values(row, record)
        images = self.read_images(row, values)
        variants = self.read_variants(row, values)
        row.finish()
        return ProductDraft(
            row.place,
            sku=values["sku"],
            slug=values.get("slug", ""),
            fields=pick(values, self.product_fields),
            text=pick(values, TEXT_FIELDS),
            links=self.make_links(values),
            attributes=self.merge_attributes(values),
            only=None if "variants" in values else draft_only(row.place, values),
            variants=variants,
            images=images,
        )

    def make_links(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(list_links(values))

    def merge_attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes to merge into those of the product."""
        own: dict[str, Any] = values.get("attributes", {})
        return own | pick(values, ("tags",))

    def read_values(self, row: RowReader, record: Record) -> dict[str, Any]:
        """The value of each mapped field. Errors name the file's column."""
        values = {}
        for name, path in self.columns.items():
            if any(column in record.cells for column in path):
                cells = [record.cells.get(column) for column in path]
                cell = cells[0] if len(path) == 1 else [part for part in cells if not is_blank(part)] or None
                value = self.read_field(row, "/".join(path), name, cell)
                if value is not Blank.KEEPS:
                    values[name] = value
        return values

    def read_field(self, row: RowReader, column: str, name: str, cell: Any) -> Any:
        if name in LINK_FIELDS and (expanded := parse_expanded(cell)):
            return self.read_expanded(row, column, name, expanded)
        return row.read_cell(column, self.fields[name], cell)

    def read_expanded(self, row: RowReader, column: str, name: str, cell: Mapping[str, Any]) -> Any:
        """A brand or category as our own exports show it with `expand`."""
        names = cell["name"]
        if name == "category":
            names = [part for part in (cell.get("parent"), cell["name"]) if part is not None]
        link = row.read_value(f"{column}.name", self.fields[name], names)
        slug = row.read_value(f"{column}.slug", self.fields[f"{name}_slug"], cell["slug"])
        return link if link is None or Blank.KEEPS in (link, slug) else link._replace(slug=slug)

    # -- variants

    def read_variants(self, row: RowReader, values: Mapping[str, Any]) -> tuple[VariantDraft, ...] | None:
        if "variants" not in values:
            return None
        if not values["variants"]:
            row.refuse("variants", "is an empty list", "leave it out")
        read = (self.read_variant(row, position, cells) for position, cells in enumerate(values["variants"], 1))
        return tuple(variant for variant in read if variant)

    def read_variant(self, row: RowReader, position: int, cells: Any) -> VariantDraft | None:
        prefix = f"variants[{position}]."
        if not isinstance(cells, dict) or is_blank(cells.get("sku")):
            row.refuse(f"{prefix}sku", "is missing", 'write {"sku": …, "price": …}')
            return None
        values = row.read_row(cells, self.variant_fields, prefix)
        fields = {"position": position} | pick(values, (*VARIANT_FIELDS, "position"))
        pieces = self.read_pieces(row, f"{prefix}stock", cells.get("stock", cells.get("on_hand")))
        return VariantDraft(Line(row.line, prefix), fields, sku=values.get("sku"), pieces=pieces)

    def read_pieces(self, row: RowReader, column: str, cell: Any) -> dict[str, int]:
        """The pieces by location: of a number, or of a list as our own exports show it."""
        if not isinstance(cell, list):
            cell = [{"location": MAIN, "on_hand": cell}]
        pieces = {}
        for number, entry in enumerate(cell, 1):
            place = column if len(cell) == 1 else f"{column}[{number}]"
            if not isinstance(entry, dict):
                row.refuse(place, "is no object", 'write {"location": …, "on_hand": …}')
                continue
            location = row.read_cell(f"{place}.location", self.fields["location"], entry.get("location"))
            count = row.read_cell(place, self.fields["stock"], entry.get("on_hand"))
            if count is not Blank.KEEPS:
                pieces[MAIN if location is Blank.KEEPS else location] = count
        return pieces

    # -- images

    def read_images(self, row: RowReader, values: Mapping[str, Any]) -> tuple[ImageDraft, ...] | None:
        """First the column `image`, then the list `images`; each URL once. None if the row has neither."""
        if not values.keys() & {"image", "images"}:
            return None
        images = [draft_image(row.place, {"url": url}) for url in values.get("image", ())]
        for number, cell in enumerate(values.get("images", []), 1):
            image = self.read_image(row, f"images[{number}].", cell)
            images += [image] if image else []
        return keep_first(images)

    def read_image(self, row: RowReader, prefix: str, cell: Any) -> ImageDraft | None:
        cells = cell if isinstance(cell, dict) else {"url": cell}
        if is_blank(cells.get("url")):
            row.refuse(f"{prefix}url", "is missing", 'write {"url": …, "alt": …}')
            return None
        values = row.read_row(cells, self.image_fields, prefix)
        return draft_image(Line(row.line, prefix), values) if "url" in values else None


def parse_expanded(cell: Any) -> dict[str, Any] | None:
    """The object of a brand or category, which is a text in a CSV; None for another cell."""
    if isinstance(cell, str) and not cell.lstrip().startswith("{"):
        return None
    value = parse_json(cell)
    return value if isinstance(value, dict) and value.keys() >= {"slug", "name"} else None


def list_links(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The brand and the category: each by its name, with the slug beside it, or by the slug alone."""
    for name, make in NAMED_BY_SLUG.items():
        slug = values.get(f"{name}_slug", "")
        if link := values.get(name):
            yield name, link._replace(slug=slug) if slug else link
        elif name in values or f"{name}_slug" in values:
            yield name, make(slug) if slug and name not in values else None


def draft_only(place: Line, values: Values) -> VariantDraft | None:
    """The variant with the product's own SKU; None if the row has no values for it."""
    fields = pick(values, VARIANT_FIELDS)
    pieces = {values.get("location", MAIN): values["stock"]} if "stock" in values else {}
    return VariantDraft(place, fields, sku=values["sku"], pieces=pieces) if fields or pieces else None
