"""Deletes pictures that no product has had for as long as an undo could bring one back, and files without a row.

Each run looks at a 256th of all: the pictures whose names begin with the same two digits. All are seen in two days.
"""

import time
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.media.addresses import MEDIA
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
    rows = (model.objects.filter(url__startswith=f"{MEDIA}{folder}") for model in (Picture, Image))
    known = {url for urls in rows for url in urls.values_list("url", flat=True)}
    stems = {url.removeprefix(MEDIA).partition(".")[0] for url in known}
    strays = [name for name in names if name.partition(".")[0].partition("-")[0] not in stems]
    for name in strays[:MOST]:
        with name_errors(files):
            if timezone.now() - files.get_modified_time(f"{folder}/{name}") > YOUNG:
                files.delete(f"{folder}/{name}")
