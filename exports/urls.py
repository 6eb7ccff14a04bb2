from typing import Any

from django.urls import path, re_path

from config.api.reads.resources import RESOURCES
from exports import job_views
from exports.encoders import FORMATS
from exports.views import make_stream

STREAM: dict[str, Any] = {"get": "stream", "head": "describe"}

JOB = r"^(?P<pk>[0-9]{1,18})/"
JOBS: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}

urlpatterns = [
    *(
        path(
            f"{resource.name}.{suffix}",
            make_stream(resource, file_format).as_view(STREAM),
            name=f"export-{resource.name}-{suffix}",
        )
        for resource in RESOURCES.values()
        for suffix, file_format in FORMATS.items()
    ),
    path("", job_views.ExportJobViewSet.as_view(JOBS, basename="exportjob", suffix="List"), name="exportjob-list"),
    re_path(rf"{JOB}$", job_views.ExportJobViewSet.as_view(ONE, basename="exportjob"), name="exportjob-detail"),
    re_path(rf"{JOB}file/$", job_views.ExportFile.as_view({"get": "fetch"}), name="exportjob-file"),
    re_path(rf"{JOB}manifest/$", job_views.ExportManifest.as_view({"get": "read"}), name="exportjob-manifest"),
]
