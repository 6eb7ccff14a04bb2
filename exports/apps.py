from django.apps import AppConfig

from config.metrics import Family, register_events


class ExportsConfig(AppConfig):
    name = "exports"
    verbose_name = "Exports"

    def ready(self) -> None:
        from config.api.admin import register_icons
        from config.api.jobs.chores import register_chore
        from config.api.root import register_lists
        from exports.models import ExportJob
        from exports.sweeping import sweep_exports

        register_chore("sweep exports", sweep_exports)
        register_lists({"exports": "exportjob-list"})
        register_icons({ExportJob: "download"})
        of_exports = ("resource", "format")
        register_events(
            {
                "export_rows": Family("Rows of exports, streamed or by a job.", of_exports),
                "export_bytes": Family("Bytes of exports, uncompressed.", of_exports),
            }
        )
