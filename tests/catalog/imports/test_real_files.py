"""The real catalogues beside the project, where they are; nothing of them is kept here."""

from decimal import Decimal
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


def test_a_grocery_listing_of_six_thousand_rows_is_imported_but_for_its_broken_one() -> None:
    file = DATA / "bigbasket_products.csv"
    dry = import_file(file, map=GROCERIES, dry_run=True)
    assert not Product.objects.exists()
    report = import_file(file, map=GROCERIES)
    assert report["rows"] == 6_079
    assert report["products"] == dry["products"] == {"created": 6_078, "updated": 0, "unchanged": 0, "refused": 1}
    # Its row 6 has a cell more than the header has columns.
    assert report["errors"] == dry["errors"]
    assert [(error["line"], error["sku"]) for error in report["errors"]] == [(8, "6")]
    assert Brand.objects.count() == 1_449
    assert Category.objects.count() == 571
    assert Product.objects.filter(rating=0).count() == 1_896
    again = import_file(file, map=GROCERIES)
    assert again["products"]["unchanged"] == 6_078


def test_sub_categories_of_one_name_stand_under_each_of_their_parents() -> None:
    import_file(DATA / "bigbasket_products.csv", map=GROCERIES)
    repeated = Category.objects.values("name").annotate(times=Count("pk")).filter(times__gt=1)
    assert repeated.exists()
    assert Category.objects.values("slug").distinct().count() == Category.objects.count()
    oil = Product.objects.select_related("category__parent__parent").get(sku="1")
    assert oil.category is not None
    assert oil.category.slug == "beauty-hygiene-hair-care-hair-oil-serum"
    assert oil.price == oil.compare_at_price == Decimal("220.00")
