"""What was exported and is imported again changes nothing."""

from pathlib import Path

import pytest
from django.core.management import call_command

from catalog.models import Category, Product
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_an_export_imported_again_changes_nothing(format_: str, tmp_path: Path) -> None:
    for number in range(5):
        make_product(
            title=f"Tea {number}", brand=make_brand("Acme"), category=make_category("Food", "Tea"),
            price="9.50", rating="4.50", attributes={"color": "green"}, description="Good.",
        )  # fmt: skip
    file = tmp_path / f"products.{format_}"
    fields = "sku,title,brand,category,status,price,compare_at_price,rating,attributes,description"
    call_command("export", "products", "--format", format_, "--fields", fields, "--output", str(file), "--raw")
    before = list(Product.objects.order_by("pk").values())
    call_command("import_products", str(file), "--json")
    assert list(Product.objects.order_by("pk").values()) == before
    assert Category.objects.count() == 2
