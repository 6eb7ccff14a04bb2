"""Counts of what an import did. The report's size doesn't grow with the file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from catalog.imports.errors import Refusal

# The most errors that a report keeps: a file of ten million bad rows must not fill the memory.
MOST_ERRORS = 1_000
# Counts of products that a report has only if they aren't zero.
RARE = ("skipped", "archived", "deleted")


@dataclass(slots=True)
class Tally:
    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def add(self, other: "Tally") -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged

    def count(self, *, is_new: bool, is_changed: bool) -> None:
        if is_new:
            self.created += 1
        elif is_changed:
            self.updated += 1
        else:
            self.unchanged += 1


@dataclass(slots=True)
class Outcome:
    """The result of one batch. A product counts as updated if it or anything that belongs to it changed."""

    products: Tally = field(default_factory=Tally)
    variants: Tally = field(default_factory=Tally)
    images: Tally = field(default_factory=Tally)
    brands_created: int = 0
    categories_created: int = 0
    locations_created: int = 0
    refused: int = 0
    # Products that an option or a command in the file left as they are, archived or deleted.
    skipped: int = 0
    archived: int = 0
    deleted: int = 0
    errors: list[Refusal] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.products.add(other.products)
        self.variants.add(other.variants)
        self.images.add(other.images)
        self.brands_created += other.brands_created
        self.categories_created += other.categories_created
        self.locations_created += other.locations_created
        self.refused += other.refused
        for name in RARE:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors += other.errors

    @property
    def has_changes(self) -> bool:
        tallies = (self.products, self.variants, self.images)
        others = (self.archived, self.deleted, self.brands_created, self.categories_created, self.locations_created)
        return any(others) or any(tally.created or tally.updated for tally in tallies)


@dataclass(slots=True)
class Report(Outcome):
    """The result of the file so far. `refused` counts products; `errors` has the first MOST_ERRORS."""

    file: str = ""
    format: str = ""
    dry_run: bool = False
    rows: int = 0
    bytes: int = 0
    # The line where the last product of the last batch begins. A run that continues skips all rows up to it.
    line: int = 0
    errors_total: int = 0
    seconds: float = 0.0
    # The whole file is imported.
    is_whole: bool = False
    # The name of a product's key in errors: its SKU or its handle.
    key_name: str = "sku"
    # The columns that weren't read, each with the field that it may mean; and the options that were guessed.
    unread_columns: list[dict[str, str]] = field(default_factory=list)
    guessed: list[dict[str, str]] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.errors_total += len(other.errors)
        Outcome.add(self, other)
        del self.errors[MOST_ERRORS:]

    def count_all(self) -> dict[str, dict[str, int]]:
        """The numbers of created, updated, unchanged and refused rows, by table."""
        return {
            "products": asdict(self.products) | {"refused": self.refused} | self.count_rare(),
            "variants": asdict(self.variants),
            "images": asdict(self.images),
            "brands": {"created": self.brands_created},
            "categories": {"created": self.categories_created},
            "locations": {"created": self.locations_created},
        }

    def count_rare(self) -> dict[str, int]:
        return {name: number for name in RARE if (number := getattr(self, name))}

    def take_over(self, counts: dict[str, dict[str, int]]) -> None:
        """Restore the counts that `count_all` returned."""
        products = dict(counts["products"])
        self.refused = products.pop("refused")
        for name in RARE:
            setattr(self, name, products.pop(name, 0))
        self.products = Tally(**products)
        self.variants, self.images = Tally(**counts["variants"]), Tally(**counts["images"])
        self.brands_created = counts["brands"]["created"]
        self.categories_created = counts["categories"]["created"]
        # A job of the former release has none.
        self.locations_created = counts.get("locations", {}).get("created", 0)

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "format": self.format,
            "dry_run": self.dry_run,
            "rows": self.rows,
            **self.count_all(),
            "unread_columns": self.unread_columns,
            "guessed": self.guessed,
            "errors": [self.show_error(error) for error in self.errors],
            "errors_total": self.errors_total,
            "seconds": round(self.seconds, 3),
        }

    def show_error(self, error: Refusal) -> dict[str, Any]:
        members = {name: getattr(error, name) for name in ("column", "value", "rule", "remedy")}
        return {"line": error.line, self.key_name: error.key, "reason": error.reason, **members}
