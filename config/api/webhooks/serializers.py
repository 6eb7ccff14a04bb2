"""Serializers of webhooks: what their owner sees and writes."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import (
    BooleanField,
    CharField,
    DateTimeField,
    DictField,
    IntegerField,
    JSONField,
    ListField,
    ModelSerializer,
    Serializer,
)

from config.api.access.permissions import require_rights
from config.api.access.scopes import InsufficientScope
from config.api.problems.near import suggest
from config.api.webhooks.errors import TooManyWebhooks
from config.api.webhooks.events import EVENTS
from config.api.webhooks.models import FRESH, WISHES, Status, Webhook, WebhookDelivery
from config.api.webhooks.outbound import check_url
from config.api.writes.bodies import ChoiceField, StrictSerializer

# The most webhooks of a user.
MOST_WEBHOOKS = 20


class WebhookRead(ModelSerializer[Webhook]):
    """`{"id": 3, "url": "https://shop.example/hook", "events": ["product.*"], "status": "active", "position": 1042, …}`

    `url` is the receiver's; the webhook's own address is `self_url`.
    """

    events = ListField(child=CharField(), read_only=True)
    filters = DictField(child=JSONField(), read_only=True)
    deliveries_url = HyperlinkedIdentityField(view_name="webhook-deliveries")
    self_url = HyperlinkedIdentityField(view_name="webhook-detail")

    class Meta:
        model = Webhook
        fields = (
            "id", "url", "description", "events", "filters", "expand", "status", "error", "position", "failures",
            "failing_since", "next_at", "created_at", "deliveries_url", "self_url",
        )  # fmt: skip


class WebhookWithSecret(WebhookRead):
    """A new webhook with its secret, which is shown only once."""

    secret = CharField(read_only=True, help_text="Signs the messages (Standard Webhooks). It is shown only once.")

    class Meta(WebhookRead.Meta):
        fields = (*WebhookRead.Meta.fields, "secret")  # type: ignore[assignment]  # a longer tuple


class SecretRead(Serializer[Any]):
    """`{"secret": "whsec_…", "former_until": "2026-01-31T12:00:00Z"}`"""

    secret = CharField(help_text="It is shown only once.")
    former_until = DateTimeField(help_text="Until then the former secret signs, too.")


class DeliveryRead(ModelSerializer[WebhookDelivery]):
    """`{"id": 9, "message": "evt_1042_product_updated", "attempt": 1, "status": 204, "milliseconds": 35, …}`"""

    class Meta:
        model = WebhookDelivery
        fields = ("id", "message", "type", "position", "attempt", "status", "error", "answer", "milliseconds", "at")


class WebhookWrite(StrictSerializer[Webhook]):
    """`{"url": "https://shop.example/hook", "events": ["product.*", "stock.updated"], "filters": {"brand": "acme"}}`"""

    url = CharField(max_length=2_000)
    description = CharField(max_length=200, allow_blank=True, default="")
    events = ListField(child=CharField(max_length=40), allow_empty=False, max_length=50)
    filters = DictField(child=JSONField(), default=dict, help_text="Of products: brand, category, status.")
    expand = BooleanField(default=False, help_text="Send the row as the API shows it, too.")
    status = ChoiceField(choices=WISHES, default=Status.ACTIVE)

    def get_fields(self) -> dict[str, Any]:
        """The status as it is may be sent back, also `ended`: a client that saves a whole record changes nothing."""
        fields: dict[str, Any] = super().get_fields()
        if isinstance(self.instance, Webhook):
            fields["status"].choices = [*WISHES, (self.instance.status, self.instance.get_status_display())]
        return fields

    def validate_url(self, url: str) -> str:
        try:
            check_url(url)
        except ValueError as error:
            raise ValidationError(str(error), "invalid") from None
        return url

    def validate_events(self, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in list_names()]
        if unknown:
            hint = suggest(unknown[0], list_names())
            raise ValidationError([ErrorDetail(f"There is no event {name!r}. {hint}", "invalid") for name in unknown])
        self.require_rights(names)
        return list(dict.fromkeys(names))

    def validate_filters(self, filters: dict[str, Any]) -> dict[str, Any]:
        return EVENTS.log.read_filters(filters)

    def require_rights(self, names: Collection[str]) -> None:
        """Raise 403 unless the caller and the token may see what these events tell."""
        request = self.context["request"]
        types = [EVENTS.log.types[name] for name in Webhook(events=names).wants(EVENTS.log.types)]
        require_rights(request, *sorted({each.right for each in types if each.right}))
        scopes = getattr(request.auth, "scopes", None)
        for each in types:
            if scopes and each.scope not in scopes:
                raise InsufficientScope(each.scope)

    def create(self, validated_data: dict[str, Any]) -> Webhook:
        owner = self.context["request"].user
        with transaction.atomic():
            # One request of a user at a time: two might both add the last allowed webhook.
            get_user_model().objects.select_for_update().get(pk=owner.pk)
            if Webhook.objects.visible_to(owner).count() >= MOST_WEBHOOKS:
                raise TooManyWebhooks(MOST_WEBHOOKS)
            webhook: Webhook = Webhook.objects.create(owner=owner, position=EVENTS.log.find_newest(), **validated_data)
            return webhook

    def update(self, instance: Webhook, validated_data: dict[str, Any]) -> Webhook:
        if changed := find_changed(instance, validated_data):
            # Whoever sends now loses the lease, and the next one sends by the new values.
            instance.find_row().revoke(**changed)
            instance.refresh_from_db()
        return instance


def find_changed(webhook: Webhook, values: dict[str, Any]) -> dict[str, Any]:
    """The values that differ from the webhook's. `active` lets one that has failed go on at once, also if it waits.

    So does another URL: the failures were the former one's.
    """
    changed = {name: value for name, value in values.items() if value != getattr(webhook, name)}
    is_wanted = values.get("status") == Status.ACTIVE and ("status" in changed or webhook.failures)
    return {**changed, **FRESH} if is_wanted or "url" in changed else changed


def list_names() -> list[str]:
    """The names of all events, and of their groups."""
    names = list(EVENTS.log.types)
    return [*names, *dict.fromkeys(f"{name.partition('.')[0]}.*" for name in names)]


class ReplayWrite(StrictSerializer[Webhook]):
    """`{"after": 1042}`, a position of the change log, or `{"since": "2026-01-31T12:00:00Z"}`: one of them."""

    after = IntegerField(required=False, min_value=0, max_value=10**12 - 1)
    since = DateTimeField(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if len(values) != 1:
            raise ValidationError([ErrorDetail("Give either `after` or `since`.", "invalid")])
        return values

    def update(self, instance: Webhook, validated_data: dict[str, Any]) -> Webhook:
        if (after := validated_data.get("after")) is None:
            after = EVENTS.log.find_start(validated_data["since"])
        EVENTS.log.check(after)
        instance.go_to(after)
        instance.refresh_from_db()
        return instance
