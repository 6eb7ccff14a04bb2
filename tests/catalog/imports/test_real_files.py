"""The real catalogues beside the project, where they are; nothing of them is kept here."""

import csv
import os
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models import Count

from catalog.models import Brand, Category, Image, Product, Variant
from tests.catalog.imports.test_files import import_file, snapshot

DATA = Path(settings.BASE_DIR).parent / "shared" / "data"
GROCERIES = "title=product,sku=index,price=sale_price,compare_at_price=market_price,category=category/sub_category/type"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real catalogues aren't beside the project (../shared/data)"),
]


def test_shopifys_samples_are_sixty_products() -> None:
    files = sorted(DATA.glob("shopify_*.csv"))
    reports = [import_file(file) for file in files]
    assert sum(report["rows"] for report in reports) == 84
    assert [report["products"]["created"] for report in reports] == [20, 20, 20]
    assert not any(report["errors"] for report in reports)
    assert (Variant.objects.count(), Image.objects.count()) == (66, 82)
    before = snapshot()
    assert [import_file(file)["products"]["unchanged"] for file in files] == [20, 20, 20]
    assert snapshot() == before


def cut_file(file: Path, rows: int, folder: Path) -> Path:
    """Its header and so many rows, which may have lines within cells, as they stand there."""
    with file.open(newline="") as source:
        reader = csv.reader(source)
        for _ in islice(reader, rows + 1):
            pass
        lines = reader.line_num
    with file.open("rb") as source:
        (folder / file.name).write_bytes(b"".join(islice(source, lines)))
    return folder / file.name


# The rows, and of what they have: brands, categories, products without a rating. `make test-faults` takes the whole.
WHOLE, CUT = (6_079, 1_449, 571, 1_896), (800, 479, 358, 256)


def test_a_grocery_listing_is_imported_but_for_its_broken_row(tmp_path: Path) -> None:
    rows, brands, categories, unrated = WHOLE if os.environ.get("WHOLE_FILES") else CUT
    file = cut_file(DATA / "bigbasket_products.csv", rows, tmp_path)
    dry = import_file(file, map=GROCERIES, dry_run=True)
    assert not Product.objects.exists()
    report = import_file(file, map=GROCERIES)
    assert report["rows"] == rows
    assert report["products"] == dry["products"] == {"created": rows - 1, "updated": 0, "unchanged": 0, "refused": 1}
    # Its row 6 has a cell more than the header has columns.
    assert report["errors"] == dry["errors"]
    assert [(error["line"], error["sku"]) for error in report["errors"]] == [(8, "6")]
    assert (Brand.objects.count(), Category.objects.count()) == (brands, categories)
    assert Product.objects.filter(rating=0).count() == unrated
    again = import_file(file, map=GROCERIES)
    assert again["products"]["unchanged"] == rows - 1
    check_that_sub_categories_of_one_name_stand_under_each_of_their_parents()


def check_that_sub_categories_of_one_name_stand_under_each_of_their_parents() -> None:
    repeated = Category.objects.values("name").annotate(times=Count("pk")).filter(times__gt=1)
    assert repeated.exists()
    assert Category.objects.values("slug").distinct().count() == Category.objects.count()
    oil = Product.objects.select_related("category__parent__parent").get(sku="1")
    assert oil.category is not None
    assert oil.category.slug == "beauty-hygiene-hair-care-hair-oil-serum"
    assert oil.price == oil.compare_at_price == Decimal("220.00")
