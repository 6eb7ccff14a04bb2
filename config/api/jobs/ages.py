"""The ages of the oldest unfinished jobs of each kind, for /metrics."""

from typing import Any

from django.db.models import Min
from django.utils import timezone

from config.api.jobs.models import UNFINISHED
from config.api.jobs.running import TASKS
from config.metrics import Gauges


def read_ages() -> Gauges:
    return {key: value for model in TASKS for key, value in measure(model).items()}


def measure(model: Any) -> Gauges:
    """The age in seconds of the oldest job of each unfinished status; one query."""
    found = dict(model.objects.only_unfinished().order_by().values_list("status").annotate(since=Min("created_at")))
    now = timezone.now()
    return {
        ("job_age_seconds", model._meta.model_name, str(status)): (
            (now - found[status]).total_seconds() if status in found else 0.0
        )
        for status in UNFINISHED
    }
