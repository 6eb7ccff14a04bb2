"""django-import-export as its documentation has it: `python -m tests.benchmarks.peers.import_file FILE`; seconds out.

One resource for the product; its text, variant and stock are written as each product is saved.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.peers.shop.settings")
django.setup()

from django.utils import timezone  # noqa: E402 (they need what setup() made)
from django.utils.text import slugify  # noqa: E402
from import_export import resources  # noqa: E402
from import_export.fields import Field  # noqa: E402
from import_export.widgets import ForeignKeyWidget  # noqa: E402
from tablib import Dataset  # noqa: E402

from tests.benchmarks.peers.shop.models import Brand, Product, ProductText, Stock, Variant  # noqa: E402

FIXED = {"status": "active", "currency": "USD", "rating": 0, "image_url": "", "attributes": {}}


class BrandWidget(ForeignKeyWidget):  # type: ignore[misc]  # no types
    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        now = timezone.now()
        return Brand.objects.get_or_create(
            slug=slugify(value), defaults={"name": value, "created_at": now, "updated_at": now}
        )[0]


class ProductResource(resources.ModelResource):  # type: ignore[misc]  # no types
    brand = Field(attribute="brand", column_name="brand", widget=BrandWidget(Brand, "name"))

    class Meta:
        model = Product
        import_id_fields = ("sku",)
        fields = ("sku", "title", "brand", "price")
        # Kind to the peer: it keeps no report of what differs.
        skip_diff = True

    def before_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
        if instance.pk is None:
            now = timezone.now()
            derived = {"slug": slugify(f"{instance.title} {instance.sku}"), "in_stock": row["stock"] != "0"}
            for name, value in (FIXED | derived | {"created_at": now, "updated_at": now}).items():
                setattr(instance, name, value)

    def after_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
        ProductText.objects.update_or_create(product=instance, defaults={"description": row["description"]})
        now = {"created_at": timezone.now(), "updated_at": timezone.now()}
        variant, _ = Variant.objects.update_or_create(
            sku=instance.sku,
            defaults={"product": instance, "price": instance.price},
            create_defaults={"product": instance, "price": instance.price} | now,
        )
        Stock.objects.update_or_create(variant=variant, location="main", defaults={"on_hand": row["stock"]})


def main() -> None:
    began = time.perf_counter()
    data = Dataset().load(Path(sys.argv[1]).read_text(), format="csv")
    result = ProductResource().import_data(data, use_transactions=True, raise_errors=True)
    assert result.totals["new"] == len(data), result.totals
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
