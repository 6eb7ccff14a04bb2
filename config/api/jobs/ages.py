"""How long jobs of each kind have waited and run, for /metrics."""

from typing import Any

from django.apps import apps
from django.db.models import Min
from django.utils import timezone

from config.api.models import Job
from config.metrics import Gauges


def read_ages() -> Gauges:
    return {
        key: value for model in apps.get_models() if issubclass(model, Job) for key, value in measure(model).items()
    }


def measure(model: Any) -> Gauges:
    """By status; one query."""
    found = dict(model.objects.only_unfinished().order_by().values_list("status").annotate(since=Min("created_at")))
    now = timezone.now()
    return {
        ("job_age_seconds", model._meta.model_name, str(status)): (
            (now - found[status]).total_seconds() if status in found else 0.0
        )
        for status in (Job.Status.QUEUED, Job.Status.RUNNING)
    }
