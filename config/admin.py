"""Admin pages of tables from packages whose own pages are slow on large tables."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django_tasks_db.models import DBTaskResult

from config.api.admin.lists import ReadOnlyAdmin

admin.site.unregister(DBTaskResult)


@admin.register(DBTaskResult)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks of the worker. The package's own page counts all rows, and lists the distinct queues of all rows."""

    icon = "task"
    list_display = ("task_path", "status", "enqueued_at", "started_at", "finished_at")
    list_filter = ("status",)
    ordering = ("-enqueued_at", "-pk")
    search_fields = ("task_path__exact",)
    search_help_text = "The task's whole dotted path"

    def has_module_permission(self, request: HttpRequest) -> bool:
        # With Redis the tasks are in RQ, so this table is empty.
        return not settings.REDIS_URL and bool(super().has_module_permission(request))
