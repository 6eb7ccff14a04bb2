"""After an import with `missing=archive`: archives the products that the file doesn't name, in batches."""

from collections.abc import Iterator

from django.conf import settings
from django.db import transaction

from catalog.imports.report import Outcome, Report
from catalog.imports.seen import Seen
from catalog.models import Product
from catalog.writes.among import is_among
from catalog.writes.texts import compose
from config.api.database.authorship import sign_writes

ROWS_AT_ONCE = 2_000


def archive_missing(seen: Seen, report: Report) -> None:
    """Nothing is archived if the file named no product, or if a row was refused: its product may be the one."""
    if report.refused or not report.rows:
        reason = f"{report.refused:,} rows were refused, and may name products" if report.refused else "no rows"
        report.guessed.append({"option": "missing", "used": "keep", "reason": f"nothing was archived: {reason}"})
        return
    for keys in find_missing(seen):
        with sign_writes(keep_before=settings.IMPORT_KEEPS_BEFORE), transaction.atomic():
            rows = Product.objects.filter(is_among("pk", keys)).exclude(status=Product.Status.ARCHIVED)
            report.add(Outcome(archived=rows.update(status=Product.Status.ARCHIVED)))


def find_missing(seen: Seen) -> Iterator[list[int]]:
    """The keys of products that aren't archived yet and that the file doesn't name."""
    last = 0
    rows = Product.objects.exclude(status=Product.Status.ARCHIVED).order_by("pk").values_list("pk", "sku", "slug")
    while found := list(rows.filter(pk__gt=last)[:ROWS_AT_ONCE]):
        last = found[-1][0]
        if keys := [key for key, sku, slug in found if not is_named(seen, sku, slug)]:
            yield keys


def is_named(seen: Seen, sku: str, slug: str) -> bool:
    return seen.has("product", compose(sku)) or seen.has("slug", slug)
