"""Deletes old results of tasks from the database. (Redis deletes its own.)"""

from datetime import timedelta

from django.tasks import TaskResultStatus
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

FORGOTTEN_AT_ONCE = 1_000


def forget_tasks() -> None:
    """Delete results that are older than a day, also tasks that a killed worker left as running."""
    old = timezone.now() - timedelta(days=1)
    over = DBTaskResult.objects.exclude(status=TaskResultStatus.READY).filter(started_at__lt=old)
    keys = list(over.order_by().values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    DBTaskResult.objects.filter(pk__in=keys).delete()
