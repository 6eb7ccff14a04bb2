"""Addresses of static files. Each begins with the sub-path of the request that shows it."""

from django.contrib.staticfiles.storage import StaticFilesStorage
from django.urls import get_script_prefix


class SubPathStorage(StaticFilesStorage):
    """Django's own way, a STATIC_URL without a leading slash, keeps the sub-path of the process's first request."""

    def url(self, name: str | None) -> str:
        return get_script_prefix()[:-1] + super().url(name)
