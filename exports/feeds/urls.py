from typing import Any

from django.urls import re_path

from config.api.jobs.views import JOB
from exports.feeds.addresses import SECRET
from exports.feeds.views import FeedDelta, FeedFile, FeedViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}

urlpatterns = [
    re_path("^$", FeedViewSet.as_view(MANY, basename="feed", suffix="List"), name="feed-list"),
    re_path(f"^{JOB}$", FeedViewSet.as_view(ONE, basename="feed", detail=True), name="feed-detail"),
    re_path(f"^{JOB}{SECRET}delta/$", FeedDelta.as_view({"get": "read"}), name="feed-delta"),
    re_path(f"^{JOB}{SECRET}(?P<file>[a-z_.]{{1,40}})$", FeedFile.as_view({"get": "fetch"}), name="feed-file"),
]
