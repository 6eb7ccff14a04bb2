"""Deletes pictures that no product has had for as long as an undo could bring one back, and files without a row.

Each run looks at a 256th of all: the pictures whose names begin with the same two digits. All are seen in two days.
"""

import time
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.media.addresses import MEDIA
from catalog.media.cleaning import MEDIA_TYPES
from catalog.media.models import Picture
from catalog.media.storing import find_file
from catalog.models import Image
from config.api.jobs import storage
from config.api.jobs.files import name_errors, remove_file

SWEEP_EVERY = timedelta(minutes=10)
FOLDERS = 256
# A file without a row may be one that is written at this moment.
YOUNG = timedelta(days=1)
# The rows and files that one run deletes.
MOST = 1_000


def sweep_some() -> None:
    sweep(f"{int(time.time() / SWEEP_EVERY.total_seconds()) % FOLDERS:02x}")


def sweep(folder: str) -> None:
    """Sweep the pictures in the folder of this name."""
    now = timezone.now()
    pictures = Picture.objects.filter(url__startswith=f"{MEDIA}{folder}")
    shown = Exists(Image.objects.filter(url__startswith=MEDIA, url=OuterRef("url")))
    pictures.filter(shown, unused_since__isnull=False).update(unused_since=None)
    pictures.filter(~shown, unused_since__isnull=True).update(unused_since=now)
    gone = pictures.filter(~shown, unused_since__lt=now - timedelta(days=settings.CHANGE_RETENTION_DAYS))
    for key in list(gone.values_list("pk", flat=True)[:MOST]):
        delete_unused(key)
    delete_strays(folder)


def delete_unused(key: int) -> None:
    """Delete a picture and its files, unless a product has it by now."""
    with transaction.atomic():
        picture = Picture.objects.select_for_update().filter(pk=key, unused_since__isnull=False).first()
        if picture and not Image.objects.filter(url__startswith=MEDIA, url=picture.url).exists():
            for url in (*(picture.thumbnails or {}).values(), picture.url):
                remove_file(find_file(url), storage.MEDIA)
            picture.delete()


def delete_strays(folder: str) -> None:
    """Delete files whose row was never committed: their request was cut off.

    What an image shows stays: in a catalogue from another database pictures get their rows later (thumbnails.py).
    """
    files = storage.open_storage(storage.MEDIA)
    names: list[str] = []
    with suppress(FileNotFoundError), name_errors(files):
        names = sorted(files.listdir(folder)[1])
    known = set(
        map(find_stem, Picture.objects.filter(url__startswith=f"{MEDIA}{folder}").values_list("url", flat=True))
    )
    strays = [name for name in names if find_stem(name) not in known][:MOST]
    shown = find_shown({find_stem(name) for name in strays})
    for name in strays:
        with name_errors(files):
            if find_stem(name) not in shown and timezone.now() - files.get_modified_time(f"{folder}/{name}") > YOUNG:
                files.delete(f"{folder}/{name}")


def find_stem(name: str) -> str:
    """The digest that the names of a picture and of its small ones begin with."""
    return name.removeprefix(MEDIA).partition(".")[0].partition("-")[0]


def find_shown(stems: Collection[str]) -> set[str]:
    """Those of the digests that images show. By whole addresses: only these are found by the index."""
    urls = [f"{MEDIA}{stem}.{suffix}" for stem in stems for suffix in MEDIA_TYPES]
    images = Image.objects.filter(url__startswith=MEDIA, url__in=urls)
    return set(map(find_stem, images.values_list("url", flat=True)))
