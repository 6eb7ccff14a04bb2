"""Where files of jobs lie: Django's storage named `jobs`, which every worker and server reaches."""

from typing import Any

from django.core.files.storage import InvalidStorageError, storages

from config.api.problems.errors import MissingExtra


def open_storage() -> Any:
    """MissingExtra where the package that it needs isn't installed."""
    try:
        return storages["jobs"]
    except InvalidStorageError as error:
        raise MissingExtra("EXPORT_STORAGE_URL", "s3", "django-storages[s3]") from error
