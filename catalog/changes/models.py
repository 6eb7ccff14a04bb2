"""The table of the change log; each index names the query that it serves."""

from django.db import models
from django.db.models import Q


class Change(models.Model):
    """One change of one row, written by the database's triggers alone: the feed, the audit and the cache read it.

    `position` is the order in which changes became visible, without gaps: on PostgreSQL a numberer gives it to what
    is committed (catalog/changes/log.py). `before` is the row as it was, null for a new row and where an import wrote.
    """

    class Op(models.TextChoices):
        CREATE = "create"
        UPDATE = "update"
        DELETE = "delete"
        TRUNCATE = "truncate"

    position = models.BigAutoField(primary_key=True)
    # Not limited to those of this release: a later one may log more tables into the same database.
    entity = models.CharField(max_length=60)
    # 0 where a whole table was truncated.
    entity_id = models.BigIntegerField()
    op = models.CharField(max_length=10, choices=Op)
    # After the change; null for rows that count none.
    version = models.PositiveIntegerField(null=True)
    # Of the product, the variant, or the stock's variant.
    sku = models.CharField("SKU", max_length=100, default="")
    # The product that the row belongs to, also once it is gone.
    product_id = models.BigIntegerField(null=True)
    at = models.DateTimeField()
    # When it got its position; never earlier than the position before got its.
    numbered_at = models.DateTimeField()
    # `user:7`, or `role:tenfold` for who wrote past Tenfold.
    actor = models.CharField(max_length=100, default="")
    request_id = models.CharField(max_length=100, default="")
    before = models.JSONField(null=True)

    class Meta:
        ordering = ("-position",)
        indexes = (
            # products/{id}/history/, and the next change of a row of a product.
            models.Index(
                fields=("product_id", "position"), name="change_by_product", condition=Q(product_id__isnull=False)
            ),
            # The changes of a brand or a category. A row is in this index or in the one above.
            models.Index(
                fields=("entity", "entity_id", "position"),
                name="change_without_product",
                condition=Q(product_id__isnull=True),
            ),
            # changes/?since=, and the purge.
            models.Index(fields=("numbered_at", "position"), name="change_by_numbered"),
            # Whether a table was truncated since a cursor.
            models.Index(fields=("position",), name="change_truncates", condition=Q(op="truncate")),
        )

    def __str__(self) -> str:
        return f"{self.op} of {self.entity} {self.entity_id}"
