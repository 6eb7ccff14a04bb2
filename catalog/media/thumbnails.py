"""The worker's part: small pictures of uploaded ones, and their addresses in the images that show them.

Both may run twice: a small picture of the same name has the same content, and an image is only written if it lacks
what its picture has.
"""

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from django.db.models import Q
from PIL import Image as Pillow

from catalog.media.addresses import MEDIA
from catalog.media.models import SIZES, Picture
from catalog.media.storing import adopt_picture, find_file
from catalog.models import Image
from config.api.database.leases import STOP
from config.api.jobs.files import read_file, write_file
from config.api.jobs.storage import MEDIA as STORAGE

# A worker's heartbeat waits for its chores.
SECONDS = 3.0
# A picture that was claimed more often has killed its workers.
MOST_CLAIMS = 5
# Images that one beat writes.
MOST_IMAGES = 500
QUALITY = 80

# Images that show uploaded pictures, and lack what is known of them. A partial index has them (catalog/models.py).
WAITING = Q(url__startswith=MEDIA, thumbnails__isnull=True)


def make_thumbnails() -> None:
    """Make small pictures for SECONDS; then tell images of those that are made."""
    end = time.monotonic() + SECONDS
    while not STOP.has_begun and time.monotonic() < end:
        picture = Picture.objects.filter(thumbnails__isnull=True, claims__lt=MOST_CLAIMS).claim()
        if picture is None:
            break
        try:
            thumbnails = shrink(picture)
        except OSError:
            # The storage fails: that is no fault of the picture.
            picture.give_back()
            raise
        picture.release(thumbnails=thumbnails)
    tell_images()


def shrink(picture: Picture) -> dict[str, str]:
    """Write the small pictures. Their addresses by name, `{"small": "/media/….webp", …}`."""
    source = b"".join(read_file(find_file(picture.url), 0, picture.size, STORAGE))
    addresses = {}
    for name, body in write_sizes(source):
        url = f"{MEDIA}{PurePosixPath(picture.url).stem}-{SIZES[name]}.webp"
        with write_file(find_file(url), STORAGE) as file:
            file.write(body)
        addresses[name] = url
    return dict(reversed(addresses.items()))


def write_sizes(source: bytes) -> Iterator[tuple[str, bytes]]:
    """Each size by its name, the largest first: the next one is made of it."""
    picture: Any = Pillow.open(BytesIO(source))
    largest = max(SIZES.values())
    # A JPEG is decoded at a half, a quarter or an eighth of its size, as far as that is enough.
    picture.draft(None, (2 * largest, 2 * largest))
    profile = picture.info.get("icc_profile")
    for name, side in reversed(SIZES.items()):
        picture.thumbnail((side, side), reducing_gap=3.0)
        out = BytesIO()
        picture.save(out, "WEBP", quality=QUALITY, icc_profile=profile)
        yield name, out.getvalue()


def tell_images() -> None:
    """Write sizes and small pictures into the images that lack them. One without a picture here gets `{}`."""
    waiting = list(Image.objects.filter(WAITING).order_by("pk").values_list("pk", "url")[:MOST_IMAGES])
    pictures = {picture.url: picture for picture in Picture.objects.filter(url__in={url for _, url in waiting})}
    for url in {url for _, url in waiting}:
        images = Image.objects.filter(WAITING, pk__in=[key for key, shown in waiting if shown == url])
        picture = pictures.get(url) or adopt_picture(url)
        if picture is None:
            images.update(thumbnails={})
        elif picture.thumbnails:
            images.update(**picture.members)
