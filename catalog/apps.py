from importlib import import_module

from django.apps import AppConfig

from config.api.freshness import FRESHNESS


class CatalogConfig(AppConfig):
    name = "catalog"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        # Not an import above: it needs loaded models.
        changes = import_module("catalog.changes.log")
        FRESHNESS.follow_log(changes.follow_changes, changes.LOGGED_TABLES.values())
