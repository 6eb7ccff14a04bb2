from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.db.backends.signals import connection_created
from django_tasks_db import apps as tasks_apps

from config.api.database.connections import prepare_connection
from config.api.database.observers import WRITE_LISTENERS
from config.api.freshness.commits import note_write
from config.metrics import Family, register_database_gauges, register_events


class ApiConfig(AppConfig):
    name = "config.api"
    label = "api"
    verbose_name = "Operation"

    def ready(self) -> None:
        from config.api.admin.dashboard import register_dashboard
        from config.api.database.schema_editors import install_editors
        from config.api.jobs.ages import read_ages
        from config.api.jobs.chores import register_chore
        from config.api.jobs.dashboard import list_work
        from config.api.models import IdempotencyKey
        from config.api.problems.stored import register_finder
        from config.api.reads.root_lists import register_lists
        from config.api.reads.stored_rows import find_unstored
        from config.api.reads.text_states import FOLD_EVERY, fold_writes
        from config.api.schema import checks  # noqa: F401 (registers them)
        from config.api.webhooks.models import WebhookDelivery

        # One batch at each heartbeat: enough for 17 million a day, and never late for the next heartbeat.
        register_chore("purge idempotency keys", IdempotencyKey.objects.purge_some)
        register_chore("purge webhooks' deliveries", WebhookDelivery.objects.purge_some)
        register_chore("fold the writes of kept texts", fold_writes, every=FOLD_EVERY)
        register_lists({"webhooks": "webhook-list"})
        register_finder(find_unstored)
        register_events(
            {
                "cache_invalidations": Family("Reads of the change log that found the table changed.", ("table",)),
                "webhook_attempts": Family("Attempts to deliver to webhooks, by the answer's status.", ("status",)),
            }
        )
        age = Family("Age of the oldest job that is queued or running; 0 if there is none.", ("job", "status"))
        register_database_gauges(read_ages, {"job_age_seconds": age})
        register_dashboard(list_work)
        install_editors()
        connection_created.connect(prepare_connection)
        if note_write not in WRITE_LISTENERS:
            WRITE_LISTENERS.append(note_write)


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site."""

    # Otherwise Django could take this class as the configuration of config.api.
    default = False
    default_site = "config.api.admin.site.Site"


class TasksConfig(tasks_apps.TasksAppConfig):
    """The app of the task queue in the database, with a name that staff understand."""

    default = False
    verbose_name = "Background work"

    def ready(self) -> None:
        from config.api.jobs.chores import register_chore
        from config.api.jobs.results import forget_tasks

        super().ready()
        register_chore("forget tasks", forget_tasks)
