from typing import Any

from django.urls import path, re_path

from exports import job_views, views

STREAM: dict[str, Any] = {"get": "stream", "head": "describe"}

JOB = r"^(?P<pk>[0-9]{1,18})/"
JOBS: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}

urlpatterns = [
    path("products.csv", views.ProductCsv.as_view(STREAM), name="export-products-csv"),
    path("products.ndjson", views.ProductNdjson.as_view(STREAM), name="export-products-ndjson"),
    path("", job_views.ExportJobViewSet.as_view(JOBS, basename="exportjob"), name="exportjob-list"),
    re_path(rf"{JOB}$", job_views.ExportJobViewSet.as_view(ONE, basename="exportjob"), name="exportjob-detail"),
    re_path(rf"{JOB}file/$", job_views.ExportFile.as_view({"get": "fetch"}), name="exportjob-file"),
    re_path(rf"{JOB}manifest/$", job_views.ExportManifest.as_view({"get": "read"}), name="exportjob-manifest"),
]
