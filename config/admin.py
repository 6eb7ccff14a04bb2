"""Admin pages of tables from packages whose own pages are slow on large tables."""

from typing import Any

import redis
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django_tasks_db.models import DBTaskResult

from config.api.admin.lists import ReadOnlyAdmin
from config.api.webhooks.admin import DeliveryAdmin, WebhookAdmin
from config.api.webhooks.models import Webhook, WebhookDelivery
from config.operation.queue import read_queue

admin.site.unregister(DBTaskResult)
admin.site.register(Webhook, WebhookAdmin)
admin.site.register(WebhookDelivery, DeliveryAdmin)

# The tables of the queue's page, in the order of QueueState, and what they say if they are empty.
QUEUE_TABLES: tuple[dict[str, Any], ...] = (
    {
        "title": "Workers",
        "heads": ("Worker", "State", "Last heartbeat"),
        "none": "No worker runs: exports, imports and purges wait. Start one with make worker.",
    },
    {
        "title": "Newest tasks",
        "heads": ("Task", "State", "Enqueued", "Ended", "Error"),
        "none": "No task waits, runs or has failed.",
    },
)


@admin.register(DBTaskResult)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks of the worker, wherever they wait. The package's own page counts all rows, and lists the distinct queues of
    all rows; django-rq's own pages let any staff drop tasks.
    """

    icon = "task"
    list_display = ("task_path", "status", "enqueued_at", "started_at", "finished_at")
    list_filter = ("status",)
    ordering = ("-enqueued_at", "-pk")
    search_fields = ("task_path__exact",)
    search_help_text = "The task's whole dotted path"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # With Redis the tasks are in RQ, so this table is empty.
        return self.show_queue(request) if settings.REDIS_URL else super().changelist_view(request, extra_context)

    def show_queue(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            counts, *rows = read_queue()
        except redis.RedisError:
            counts, rows = {}, []
        context = {**self.admin_site.each_context(request), "title": "Tasks", "counts": counts}
        tables = [{**table, "rows": found} for table, found in zip(QUEUE_TABLES, rows, strict=False)]
        return TemplateResponse(request, "admin/queue.html", context | {"tables": tables})
