from django.apps import AppConfig

from config.api.freshness import FRESHNESS


class CatalogConfig(AppConfig):
    name = "catalog"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        from catalog.changes.log import LOGGED_TABLES, follow_changes, keep_log
        from catalog.imports.tasks import sweep_imports
        from config.api.jobs.chores import register_chore

        FRESHNESS.follow_log(follow_changes, LOGGED_TABLES.values())
        register_chore("keep the change log", keep_log)
        register_chore("sweep imports", sweep_imports)
