"""The storage of jobs' files: Django's storage named `jobs`, which all servers and workers can reach."""

from typing import Any

from django.core.files.storage import InvalidStorageError, storages

from config.api.problems.errors import MissingExtra


def open_storage() -> Any:
    """The storage. Raises MissingExtra if it needs a package that isn't installed."""
    try:
        return storages["jobs"]
    except InvalidStorageError as error:
        raise MissingExtra("EXPORT_STORAGE_URL", "s3", "django-storages[s3]") from error
