"""The endpoints of webhooks. Each caller sees their own ones."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.access.permissions import HasRight
from config.api.access.privacy import PrivateMixin, SecretMixin
from config.api.access.scopes import WEBHOOKS
from config.api.reads.selections import build_selection
from config.api.viewsets import ListMixin, ReadViewSet, ShapedViewSet, WriteMixin
from config.api.webhooks.events import EVENTS
from config.api.webhooks.models import Webhook, WebhookDelivery
from config.api.webhooks.serializers import (
    DeliveryRead,
    ReplayWrite,
    SecretRead,
    WebhookRead,
    WebhookWithSecret,
    WebhookWrite,
)


class OwnWebhooks(ShapedViewSet):
    """Base of the views. Whoever may follow the change feed may be told of changes."""

    permission_classes = (HasRight,)
    scope = WEBHOOKS
    default_ordering = "-pk"

    @property
    def right(self) -> str:
        return EVENTS.log.right


class WebhookViewSet(SecretMixin, WriteMixin[Webhook], ReadViewSet, OwnWebhooks):
    """The caller's own webhooks. A webhook is an address that gets a signed POST for each event.

    Messages and signatures follow the Standard Webhooks specification. The answer to the POST that creates a webhook
    has its secret, which isn't shown again. `position` is the webhook's cursor in the change log.
    """

    queryset = Webhook.objects.all()
    read_serializer = WebhookRead
    write_serializer = WebhookWrite
    conditional_methods = ()
    stores_answers = False

    def get_queryset(self) -> QuerySet[Webhook]:
        rows: QuerySet[Webhook] = super().get_queryset().visible_to(self.request.user)
        return rows

    def get_serializer_class(self) -> Any:
        return ReplayWrite if self.action == "replay" else super().get_serializer_class()

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset() if self.action in ("rotate", "test", "replay") else super().known_parameters

    @extend_schema(responses={201: WebhookWithSecret})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().create(request, *args, **kwargs)
        response.data = orjson.loads(orjson.dumps(response.data)) | {"secret": self.written.secret}
        return response

    def save(self, *args: Any) -> tuple[Webhook, Sequence[Any]]:
        self.written, shown = super().save(*args)
        return self.written, shown

    @extend_schema(operation_id="rotate_webhook_secret", request=None, responses=SecretRead)
    def rotate(self, request: Request, pk: str) -> Response:
        """Make a new secret. For 24 hours the former one signs beside it."""
        webhook = self.get_object()
        secret = webhook.rotate()
        webhook.refresh_from_db()
        return Response({"secret": secret, "former_until": webhook.former_until})

    @extend_schema(operation_id="test_webhook", request=None, responses={202: WebhookRead})
    def test(self, request: Request, pk: str) -> Response:
        """Send a message of the type `webhook.test` soon, also while paused; `deliveries/` shows the answer."""
        webhook = self.get_object()
        webhook.find_row().update(is_test_due=True)
        return self.show_accepted(webhook)

    @extend_schema(operation_id="replay_webhook", responses={202: WebhookRead})
    def replay(self, request: Request, pk: str) -> Response:
        """Go on from another position of the change log, an earlier one or a later one."""
        body = self.get_serializer(self.get_object(), data=request.data)
        body.is_valid(raise_exception=True)
        return self.show_accepted(body.save())

    def show_accepted(self, webhook: Webhook) -> Response:
        selection = build_selection(self.read_serializer, detail=True)
        text, *_ = self.show(Webhook.objects.filter(pk=webhook.pk), selection)
        return Response(orjson.Fragment(text), HTTPStatus.ACCEPTED)


class DeliveryList(PrivateMixin, ListMixin, OwnWebhooks):
    """The attempts to deliver to a webhook, newest first, with the receiver's answers. They are kept for 7 days."""

    queryset = WebhookDelivery.objects.all()
    read_serializer = DeliveryRead

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        webhook = get_object_or_404(Webhook.objects.visible_to(self.request.user).only("pk"), pk=self.kwargs["pk"])
        rows: QuerySet[WebhookDelivery] = super().get_queryset().filter(webhook=webhook)
        return rows
