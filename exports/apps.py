from django.apps import AppConfig

from config.metrics import Family, register_events


class ExportsConfig(AppConfig):
    name = "exports"
    verbose_name = "Exports"

    def ready(self) -> None:
        from catalog.changes.subjects import Subject, find_end, register_subjects
        from config.api.access.scopes import EXPORTS
        from config.api.jobs.chores import register_chore
        from config.api.reads.root_lists import register_lists
        from exports import tasks  # noqa: F401 (registers the jobs)
        from exports.feeds.building import make_feeds
        from exports.jobs.serializers import ExportRead
        from exports.models import ExportJob

        register_subjects(
            Subject(
                "export", ExportJob, ExportRead, "", ("ready", "failed"), find_end,
                right=ExportJob.right, scope=EXPORTS.read,
            )
        )  # fmt: skip
        register_lists({"exports": "exportjob-list", "feeds": "feed-list"})
        register_chore("make the files of feeds", make_feeds)
        of_exports = ("resource", "format")
        register_events(
            {
                "export_rows": Family("Rows of exports, streamed or by a job.", of_exports),
                "export_bytes": Family("Bytes of exports, uncompressed.", of_exports),
            }
        )
