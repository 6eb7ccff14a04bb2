"""A clean picture in, its row and its file out. The same bytes are stored once, for all products that show them.

The row is locked while its file is written or deleted: so the file is whole whenever its row can be seen, and nobody
deletes the file of a picture that somebody sends at this moment.
"""

import re
from pathlib import PurePosixPath

from django.db import transaction

from catalog.media.addresses import MEDIA
from catalog.media.cleaning import BadPicture, Cleaned, open_picture
from catalog.media.models import Picture
from config.api.jobs import storage
from config.api.jobs.files import name_errors, write_file
from config.api.jobs.views import refuse_without_storage

# The addresses that `store_picture` gives.
UPLOADED = re.compile(rf"{MEDIA}[0-9a-f]{{40}}\.(?:jpg|png|webp)")


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


def adopt_picture(url: str) -> Picture | None:
    """The row of a picture whose file alone is here: its catalogue came from another database. None without a file."""
    if not UPLOADED.fullmatch(url):
        return None
    files = storage.open_storage(storage.MEDIA)
    try:
        with name_errors(files), files.open(find_file(url)) as file:
            body = file.read()
        width, height = open_picture(body).size
    except (FileNotFoundError, BadPicture):
        return None
    sizes = {"width": width, "height": height, "size": len(body)}
    return Picture.objects.get_or_create(url=url, defaults=sizes)[0]
