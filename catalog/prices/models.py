"""Each price that a variant or a product had, and since when. Only triggers write these tables (triggers.py)."""

from django.db import models


class PriceRow(models.Model):
    """A price, in force from `since` until the `since` of the row's next one.

    Of one variant or product, `since` never goes back, also if the clock does: then it stays, and the ids go on.
    """

    price = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    since = models.DateTimeField()
    # The transaction that wrote the row. A price that its own transaction replaces was never in force.
    writer = models.BigIntegerField(default=0)

    class Meta:
        abstract = True
        default_permissions = ()


class VariantPrice(PriceRow):
    # No foreign key: the database would look for the variant at each new price. A trigger deletes the rows.
    variant_id = models.BigIntegerField()

    class Meta(PriceRow.Meta):
        # The last price of a variant; prices/history/.
        indexes = (models.Index(fields=("variant_id", "since", "id"), name="variantprice_by_variant"),)

    def __str__(self) -> str:
        return f"{self.price} {self.currency} since {self.since}"


class ProductPrice(PriceRow):
    """The lowest price of the variants, as in `Product.price`, from the first variant on."""

    product_id = models.BigIntegerField()

    class Meta(PriceRow.Meta):
        # The prices of 30 days.
        indexes = (models.Index(fields=("product_id", "since", "id"), name="productprice_by_product"),)

    def __str__(self) -> str:
        return f"{self.price} {self.currency} since {self.since}"
