from typing import Any

from django.urls import re_path

from config.api.jobs.views import JOB
from config.api.webhooks.views import DeliveryList, WebhookViewSet

MANY: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}


def route(address: str, name: str, actions: dict[str, Any], **options: Any) -> Any:
    return re_path(f"^webhooks/{address}$", WebhookViewSet.as_view(actions, basename="webhook", **options), name=name)


urlpatterns = [
    route("", "webhook-list", MANY, suffix="List"),
    route(JOB, "webhook-detail", ONE, detail=True),
    route(f"{JOB}rotate/", "webhook-rotate", {"post": "rotate"}),
    route(f"{JOB}test/", "webhook-test", {"post": "test"}),
    route(f"{JOB}replay/", "webhook-replay", {"post": "replay"}),
    re_path(f"^webhooks/{JOB}deliveries/$", DeliveryList.as_view({"get": "list"}), name="webhook-deliveries"),
]
