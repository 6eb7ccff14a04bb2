"""What an import of a file would do: its format, its columns with their fields, the first products, what is refused.

The first rows are imported in a transaction that is rolled back, so refusals that only the database knows are told.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from catalog.imports.options import Options
from catalog.imports.records import Source
from catalog.imports.report import Report
from catalog.imports.runs import ImportRun, Row
from catalog.writes.drafts import ProductDraft, VariantDraft

# The rows that are read, and the products that are shown.
MOST_ROWS = 1_000
MOST_SHOWN = 20


class Preview(ImportRun):
    """A dry run of the first rows, which keeps their drafts."""

    def __init__(self, source: Source, options: Options) -> None:
        # One row more tells that the file goes on.
        source.records = islice(source.records, MOST_ROWS + 1)
        super().__init__(source, options, dry_run=True)
        self.drafts: list[ProductDraft] = []

    def read_drafts(self) -> Iterator[Row]:
        waiting: Row | None = None
        for row in super().read_drafts():
            if waiting is not None:
                yield self.keep(waiting)
            waiting = row
        # Of a longer file, the last product may have more rows than were read.
        if waiting is not None and self.rows_seen <= MOST_ROWS:
            yield self.keep(waiting)

    def keep(self, row: Row) -> Row:
        if isinstance(row, ProductDraft):
            self.drafts.append(row)
        return row

    def look(self) -> dict[str, Any]:
        for _ in self.take_steps():
            pass
        return self.describe(self.report)

    def describe(self, report: Report) -> dict[str, Any]:
        report.rows = min(report.rows, MOST_ROWS)
        whole = report.as_json()
        names = ("file", "format", "rows", "unread_columns", "guessed", "errors", "errors_total")
        return {
            **{name: whole[name] for name in names},
            "columns": self.format.list_columns(),
            "counts": report.count_all(),
            "products": [show_draft(draft) for draft in islice(self.list_taken(report), MOST_SHOWN)],
        }

    def list_taken(self, report: Report) -> Iterator[ProductDraft]:
        """The drafts but for those that the database's rules have refused."""
        refused = {(error.key, error.line) for error in report.errors}
        for draft in self.drafts:
            if refused.isdisjoint((draft.key, line) for line in list_lines(draft)):
                yield draft


def list_lines(draft: ProductDraft) -> Iterator[int]:
    """The lines of the product, its variants and its images."""
    yield find_line(draft.place)
    yield from (find_line(variant.place) for variant in draft.variants or ())
    yield from (find_line(image.place) for image in draft.images or ())


def find_line(place: Any) -> int:
    return int(place.number)


def show_draft(draft: ProductDraft) -> dict[str, Any]:
    """The product with those members that the file has."""
    variants = draft.variants or ((draft.only,) if draft.only else ())
    links = {name: str(link) for name, link in draft.links.items() if link}
    shown = {
        "line": find_line(draft.place),
        "sku": draft.sku,
        "slug": draft.slug,
        **draft.fields,
        **links,
        **draft.text,
        "attributes": draft.attributes,
        "variants": [show_variant(variant) for variant in variants],
        "images": [image.fields for image in draft.images or ()],
        "command": draft.command.value,
    }
    return {name: value for name, value in shown.items() if value not in (None, "", {}, [])}


def show_variant(variant: VariantDraft) -> dict[str, Any]:
    stock = [{"location": location, "on_hand": count} for location, count in variant.pieces.items()]
    return {"sku": variant.sku, **variant.fields, "stock": stock}
