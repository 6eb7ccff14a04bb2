"""The storages of files, which all servers and workers can reach: Django's storages named `jobs` and `media`."""

from typing import Any

from django.core.files.storage import InvalidStorageError, storages

from config.api.problems.errors import MissingExtra

# Files of jobs, and pictures of products.
JOBS, MEDIA = "jobs", "media"
SETTINGS = {JOBS: "EXPORT_STORAGE_URL", MEDIA: "MEDIA_STORAGE_URL"}


def open_storage(where: str = JOBS) -> Any:
    """The storage. Raises MissingExtra if it needs a package that isn't installed."""
    try:
        return storages[where]
    except InvalidStorageError as error:
        raise MissingExtra(SETTINGS[where], "s3", "django-storages[s3]") from error
