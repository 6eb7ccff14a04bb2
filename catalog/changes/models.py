"""The table of the change log. The comment of each index names the query that uses it."""

from django.db import models
from django.db.models import Q


class Change(models.Model):
    """One change of one row. Only database triggers write it; the change feed, the history and the cache read it.

    `position` is the order in which changes became visible, without gaps. On PostgreSQL it is given after the commit
    (catalog/changes/log.py). `before` is the row before the change; null for a new row and for a write of an import.
    """

    class Op(models.TextChoices):
        CREATE = "create"
        UPDATE = "update"
        DELETE = "delete"
        TRUNCATE = "truncate"

    position = models.BigAutoField(primary_key=True)
    # It has no `choices`: a later release may log more tables into the same database.
    entity = models.CharField(max_length=60)
    # 0 if a whole table was truncated.
    entity_id = models.BigIntegerField()
    op = models.CharField(max_length=10, choices=Op)
    # The row's version after the change; null if its table has no versions.
    version = models.PositiveIntegerField(null=True)
    # The SKU of the product, of the variant, or of the variant that the stock is of.
    sku = models.CharField("SKU", max_length=100, default="")
    # The product that the row belongs to. The product may be deleted since.
    product_id = models.BigIntegerField(null=True)
    at = models.DateTimeField()
    # The time when the change got its position. It never decreases from one position to the next.
    numbered_at = models.DateTimeField()
    # `user:7`, or `role:tenfold` (the database role) for a write that didn't go through Tenfold.
    actor = models.CharField(max_length=100, default="")
    request_id = models.CharField(max_length=100, default="")
    before = models.JSONField(null=True)

    class Meta:
        ordering = ("-position",)
        permissions = (("undo_change", "Can undo changes"),)
        indexes = (
            # changes/undo/: all changes of a request or a job, by product.
            models.Index(
                fields=("request_id", "product_id", "position"),
                name="change_by_request",
                condition=~Q(request_id=""),
            ),
            # products/{id}/history/, and the next change of a row that belongs to a product.
            models.Index(
                fields=("product_id", "position"), name="change_by_product", condition=Q(product_id__isnull=False)
            ),
            # The changes of a brand, a category or an attribute. Each change is in this index or in the one above.
            models.Index(
                fields=("entity", "entity_id", "position"),
                name="change_without_product",
                condition=Q(product_id__isnull=True),
            ),
            # changes/?since=, and the purge.
            models.Index(fields=("numbered_at", "position"), name="change_by_numbered"),
            # Was a table truncated since a cursor's position?
            models.Index(fields=("position",), name="change_truncates", condition=Q(op="truncate")),
        )

    def __str__(self) -> str:
        return f"{self.op} of {self.entity} {self.entity_id}"
