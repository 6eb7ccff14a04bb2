from typing import Any

from django.urls import path

from exports import views

STREAM: dict[str, Any] = {"get": "stream", "head": "describe"}

urlpatterns = [
    path("products.csv", views.ProductCsv.as_view(STREAM), name="export-products-csv"),
    path("products.ndjson", views.ProductNdjson.as_view(STREAM), name="export-products-ndjson"),
]
