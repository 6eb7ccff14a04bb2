from typing import Any

from django.urls import path, re_path

from config.api.jobs.views import JOB, route_jobs
from config.api.reads.resources import RESOURCES
from exports.formats.formats import FORMATS
from exports.jobs import views as job_views
from exports.streaming.views import make_stream

STREAM: dict[str, Any] = {"get": "stream", "head": "describe"}

urlpatterns = [
    *(
        path(
            f"{resource.name}.{suffix}",
            make_stream(resource, file_format).as_view(STREAM),
            name=f"export-{resource.name}-{suffix}",
        )
        for resource in RESOURCES.values()
        for suffix, file_format in FORMATS.items()
        if suffix in resource.formats
    ),
    *route_jobs("", job_views.ExportJobViewSet),
    re_path(rf"^{JOB}file/$", job_views.ExportFile.as_view({"get": "fetch"}), name="exportjob-file"),
    re_path(rf"^{JOB}manifest/$", job_views.ExportManifest.as_view({"get": "read"}), name="exportjob-manifest"),
]
