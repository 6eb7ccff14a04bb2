"""Uploaded pictures. A product's image refers to one by its address."""

from django.db import models
from django.db.models import Q

from config.api.database.leases import ClaimedRow, ClaimedRowQuerySet

# The longest sides of the small pictures, by the names that the API gives them.
SIZES = {"small": 160, "medium": 480, "large": 1200}


class Picture(ClaimedRow):
    """A picture in the storage. Its address is made of a hash of the uploaded bytes, so it never shows anything else.

    A worker claims it to make its small pictures.
    """

    # `/media/` and 40 hexadecimal digits, with the suffix of its format.
    url = models.CharField(max_length=60, unique=True, editable=False)
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)
    size = models.PositiveIntegerField(help_text="Bytes.", editable=False)
    # `{"small": "/media/….webp", "medium": …, "large": …}`; null until a worker has made them.
    thumbnails = models.JSONField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # Since when no product has it. An undo may still bring such a product back.
    unused_since = models.DateTimeField(null=True, editable=False)

    objects = ClaimedRowQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = (
            # What workers look for every few seconds.
            models.Index(fields=("id",), name="picture_without_thumbnails", condition=Q(thumbnails__isnull=True)),
        )

    def __str__(self) -> str:
        return self.url

    @property
    def members(self) -> dict[str, object]:
        """The columns of an image that shows this picture."""
        return {"width": self.width, "height": self.height, "thumbnails": self.thumbnails}
