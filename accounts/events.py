"""The sign-in log: sign-ins, failed sign-ins, and changes of tokens, passwords and groups. It says who and from where.

It is kept as long as the change log. It never holds a secret. For a failed sign-in it names the user if there is one,
but not the text that was typed: this may be a password in the wrong field.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from config.api.access.throttling import find_client
from config.api.database.authorship import ACTOR, ENVIRON

# The most rows that a periodic task deletes at once.
PURGED_AT_ONCE = 1_000


class EventManager(models.Manager["Event"]):
    def record(self, kind: str, user: Any = None, *details: str) -> None:
        """Write one event of `user` for each of `details`, or one without detail. The request gives the address."""
        environ = ENVIRON.get() or {}
        about = {
            "user_id": user and user.pk,
            "actor_id": find_actor(user),
            "address": find_client(environ)[:45],
            "user_agent": environ.get("HTTP_USER_AGENT", "")[:200],
        }
        rows = [Event(kind=kind, detail=detail[:200], **about) for detail in details or ("",)]
        self.bulk_create(rows)

    def purge_some(self) -> int:
        """Delete up to PURGED_AT_ONCE events that are older than the change log keeps changes. Returns how many."""
        edge = timezone.now() - timedelta(days=settings.CHANGE_RETENTION_DAYS)
        over = self.filter(at__lt=edge).order_by("at").values_list("pk", flat=True)
        keys = list(over[:PURGED_AT_ONCE])
        return self.filter(pk__in=keys).delete()[0] if keys else 0


class Event(models.Model):
    """A change or use of a user's credentials. `actor` is the user who did it; null if it was the same user."""

    class Kind(models.TextChoices):
        SIGNED_IN = "signed_in"
        SIGN_IN_FAILED = "sign_in_failed"
        SIGNED_OUT = "signed_out"
        SESSION_ENDED = "session_ended"
        TOKEN_CREATED = "token_created"
        TOKEN_REVOKED = "token_revoked"
        PASSWORD_CHANGED = "password_changed"
        RESET_MAILED = "reset_mailed"
        REGISTERED = "registered"
        GROUPS_CHANGED = "groups_changed"
        PERMISSIONS_CHANGED = "permissions_changed"

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=20, choices=Kind)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DB_SET_NULL, null=True, blank=True, related_name="events", db_index=False
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.DB_SET_NULL, null=True, blank=True, related_name="+")
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=200, blank=True)

    objects: ClassVar[EventManager] = EventManager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "sign-in event"
        indexes = (
            # auth/events/, newest first; serves the foreign key too.
            models.Index(fields=("user", "id"), name="event_by_user"),
            # purge_some()
            models.Index(fields=("at",), name="event_by_age"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M}"


def find_actor(user: Any) -> int | None:
    """The id of the author of the request's writes; None if the author is `user`, or unknown."""
    kind, _, key = ACTOR.get().partition(":")
    return int(key) if kind == "user" and not (user and str(user.pk) == key) else None


# -- receivers of Django's signals -------------------------------------------------------------------------------


def note_sign_in(user: Any, **_: Any) -> None:
    Event.objects.record(Event.Kind.SIGNED_IN, user)


def note_sign_out(user: Any, **_: Any) -> None:
    if user is not None:
        Event.objects.record(Event.Kind.SIGNED_OUT, user)


def note_failure(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """A receiver of user_login_failed. It does the same work for an unknown name, so the time reveals nothing."""
    users = get_user_model()._default_manager
    user = users.filter(email__lower=str(credentials.get("username", "")).lower()).first()
    Event.objects.record(Event.Kind.SIGN_IN_FAILED, user)


VERBS = {"post_add": "added", "post_remove": "removed", "pre_clear": "removed all"}


def note_groups(instance: Any, action: str, reverse: bool, model: Any, pk_set: set[Any] | None, **_: Any) -> None:
    """A receiver of m2m_changed: for the groups of a user, or (`reverse`) the users of a group."""
    if action not in VERBS:
        return
    others = find_others(instance, "user_set" if reverse else "groups", model, pk_set)
    pairs = [(other, instance) if reverse else (instance, other) for other in others]
    for user, group in pairs:
        Event.objects.record(Event.Kind.GROUPS_CHANGED, user, f"{VERBS[action].split()[0]}: {group}")


def note_permissions(instance: Any, action: str, reverse: bool, model: Any, pk_set: Any, **_: Any) -> None:
    """A receiver of m2m_changed: for the permissions of a user or of a group."""
    if action not in VERBS or reverse:
        return
    name = "permissions" if isinstance(instance, Group) else "user_permissions"
    rights = find_others(instance, name, model, pk_set)
    names = [f"{right.content_type.app_label}.{right.codename}" for right in rights]
    user, of = (None, f" (group {instance})") if isinstance(instance, Group) else (instance, "")
    if names:
        Event.objects.record(
            Event.Kind.PERMISSIONS_CHANGED, user, *(f"{VERBS[action].split()[0]}: {right}{of}" for right in names)
        )


def find_others(instance: Any, relation: str, model: Any, keys: set[Any] | None) -> Iterable[Any]:
    """The related rows with these keys; all related rows if `keys` is None, as when a relation is cleared."""
    rows = getattr(instance, relation).all() if keys is None else model._default_manager.filter(pk__in=keys)
    return list(rows.select_related("content_type") if relation.endswith("permissions") else rows)
