"""Webhooks and the attempts to deliver to them.

A webhook is one cursor in the change log and a lease: whoever holds the lease sends what follows the cursor, in order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from config.api.access.permissions import Caller
from config.api.database.leases import ClaimedRow, ClaimedRowQuerySet
from config.api.webhooks.signing import make_secret

# How long the former secret signs beside the new one.
SECRET_KEPT = timedelta(hours=24)
# How long deliveries are remembered.
REMEMBERED = timedelta(days=7)
PURGED_AT_ONCE = 5_000
# An endpoint whose last answer took longer than this, or that failed, shares the slow half of a worker's threads.
SLOW_MILLISECONDS = 1_000


class Status(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


# What an owner may set.
WISHES = [(status.value, status.label) for status in (Status.ACTIVE, Status.PAUSED)]


class WebhookQuerySet(ClaimedRowQuerySet):
    def visible_to(self, caller: Caller) -> Self:
        """The caller's own webhooks: nobody else's secret is asked for."""
        return self.filter(owner_id=caller.pk)

    def only_active(self) -> Self:
        return self.filter(status=Status.ACTIVE)

    def only_due(self, newest: int) -> Self:
        """Free webhooks that have something to send now: a test, or changes up to the position `newest`."""
        is_behind = Q(status=Status.ACTIVE, position__lt=newest, next_at__lte=Now())
        return self.only_free().filter(is_behind | Q(is_test_due=True))


class Webhook(ClaimedRow):
    """An address that is told of events. `position` is its cursor: all that it wants up to there was told."""

    Status = Status

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="+", db_index=False)
    url = models.CharField("URL", max_length=2_000)
    description = models.CharField(max_length=200, blank=True, default="")
    events = models.JSONField(default=list, help_text="Names of events, as in product.updated or order.*.")
    filters = models.JSONField(default=dict, blank=True, help_text="Of products: brand, category, status.")
    expand = models.BooleanField(default=False, help_text="Send the row as the API shows it, too.")
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    error = models.TextField(blank=True, default="", help_text="Why nothing could be delivered, in a sentence.")
    position = models.BigIntegerField(help_text="The change log's position up to which everything is told.")
    # Attempts since the last success, and since when there is none.
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(default=timezone.now, help_text="The time of the next attempt, if it waits for one.")
    milliseconds = models.PositiveIntegerField(default=0, editable=False)
    is_test_due = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    # Both sign, so they are stored as they are. No answer shows them but that of the POST that made them.
    secret = models.CharField(max_length=100, default=make_secret, editable=False)
    former_secret = models.CharField(max_length=100, default="", editable=False)
    former_until = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[Any] = WebhookQuerySet.as_manager()

    class Meta:
        indexes = (
            # webhooks/, and the foreign key.
            models.Index(fields=("owner", "-id"), name="webhook_by_owner"),
        )

    def __str__(self) -> str:
        return f"webhook {self.pk}"

    @property
    def is_slow(self) -> bool:
        return self.failures > 0 or self.milliseconds > SLOW_MILLISECONDS

    @property
    def secrets(self) -> Sequence[str]:
        """The secrets that sign now, the newest first."""
        is_kept = self.former_until is not None and self.former_until > timezone.now()
        return [self.secret, self.former_secret] if is_kept else [self.secret]

    def rotate(self) -> str:
        """A new secret. The former one signs beside it for SECRET_KEPT."""
        secret = make_secret()
        kept = {"former_secret": self.secret, "former_until": timezone.now() + SECRET_KEPT}
        type(self).objects.filter(pk=self.pk).update(secret=secret, **kept)
        return secret

    def go_to(self, position: int) -> None:
        """Move the cursor. Whoever is sending loses the lease, and doesn't move the cursor any more."""
        self.find_row().revoke(position=position, **FRESH)

    def find_row(self) -> Any:
        return type(self).objects.filter(pk=self.pk)

    def wants(self, types: Collection[str]) -> frozenset[str]:
        """Those of the types of events that `events` names; `order.*` names all that begin with `order.`."""
        groups = tuple(name.removesuffix("*") for name in self.events if name.endswith(".*"))
        return frozenset(name for name in types if name in self.events or name.startswith(groups or ("*",)))


NO_FAILURE: Mapping[str, Any] = {"failures": 0, "failing_since": None, "error": ""}
# A webhook that is to be tried again at once, as if it had never failed.
FRESH: Mapping[str, Any] = {**NO_FAILURE, "next_at": Now()}


class DeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def purge_some(self) -> int:
        """Delete at most PURGED_AT_ONCE old deliveries. Returns how many."""
        old = self.filter(at__lt=timezone.now() - REMEMBERED).order_by("at").values_list("pk", flat=True)
        keys = list(old[:PURGED_AT_ONCE])
        return self.filter(pk__in=keys).delete()[0] if keys else 0


class WebhookDelivery(models.Model):
    """One attempt to deliver a message. `status` is the answer's; null if there was none, and `error` says why."""

    webhook = models.ForeignKey(Webhook, models.DB_CASCADE, related_name="deliveries", db_index=False)
    message = models.CharField(max_length=100, help_text="webhook-id: the same for each attempt.")
    type = models.CharField(max_length=40)
    position = models.BigIntegerField(null=True, help_text="The position of the event's last change.")
    attempt = models.PositiveIntegerField(default=1)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    answer = models.CharField(max_length=500, blank=True, default="", help_text="The answer's first characters.")
    milliseconds = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        indexes = (
            # webhooks/{id}/deliveries/, and the foreign key.
            models.Index(fields=("webhook", "-id"), name="delivery_by_webhook"),
            # purge_some()
            models.Index(fields=("at",), name="delivery_by_age"),
        )

    def __str__(self) -> str:
        return f"{self.message} to webhook {self.webhook_id}"
