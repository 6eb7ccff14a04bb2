"""A clean picture in, its row and its file out. The same bytes are stored once, for all products that show them.

The row is locked while its file is written or deleted: so the file is whole whenever its row can be seen, and nobody
deletes the file of a picture that somebody sends at this moment.
"""

from pathlib import PurePosixPath

from django.db import transaction

from catalog.media.addresses import MEDIA
from catalog.media.cleaning import Cleaned
from catalog.media.models import Picture
from config.api.jobs import storage
from config.api.jobs.files import write_file
from config.api.jobs.views import refuse_without_storage


def find_file(url: str) -> str:
    """The name in the storage of what the address shows. A folder has a 256th of all files."""
    name = PurePosixPath(url).name
    return f"{name[:2]}/{name}"


def store_picture(cleaned: Cleaned) -> Picture:
    """The stored picture. Raises Unavailable (503) if the storage fails, for example because its disk is full."""
    url = f"{MEDIA}{cleaned.name}"
    sizes = {"width": cleaned.width, "height": cleaned.height, "size": len(cleaned.body)}
    with transaction.atomic():
        picture, is_new = Picture.objects.select_for_update().get_or_create(url=url, defaults=sizes)
        if is_new:
            with refuse_without_storage(), write_file(find_file(url), storage.MEDIA) as file:
                file.write(cleaned.body)
        elif picture.unused_since:
            Picture.objects.filter(pk=picture.pk).update(unused_since=None)
    return picture
