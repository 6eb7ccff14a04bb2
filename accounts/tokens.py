"""Issues and revokes named tokens with an expiry. The secret is returned once; only its digest is stored."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from knox.models import get_digest_token
from knox.settings import CONSTANTS
from rest_framework.exceptions import AuthenticationFailed

from accounts.errors import TooManyTokens
from accounts.events import Event
from accounts.models import AuthToken, User
from config.api.problems.errors import Fault, InvalidBody

TOKEN_LIFETIME = timedelta(days=90)
GREATEST_LIFETIME = timedelta(days=366)
# The code of the errors if a token asks for more than it has, for a token that it creates.
WIDER = "wider_than_parent"


def sign_in(user: User, name: str) -> tuple[AuthToken, str]:
    """A new token for a user who has just signed in. At the limit it replaces the oldest token of the same name.

    Without this, a user who signs in every day would reach the limit after 50 days.
    """
    return issue_token(user, name, timezone.now() + TOKEN_LIFETIME, replace=True, created_by="login")


def issue_token(
    user: User, name: str, expires_at: datetime, replace: bool = False, **limits: Any
) -> tuple[AuthToken, str]:
    """A new token's row and its secret. Raises TooManyTokens if the user has TOKEN_LIMIT_PER_USER valid tokens.

    `limits` are further columns of the row: `scopes`, `allowed_ips`, `parent` and `created_by`.
    """
    with transaction.atomic():
        # Locks the user's row, so that two requests at once can't both add the last allowed token.
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        make_room(user, name if replace else None)
        digest, secret = get_digest_token()
        token_key = secret[: CONSTANTS.TOKEN_KEY_LENGTH]
        # Not with knox's manager: it takes a duration, so it would miss the requested time by microseconds.
        token = AuthToken(digest=digest, token_key=token_key, user=user, name=name, expiry=expires_at, **limits)
        token.save(force_insert=True)
        Event.objects.record(Event.Kind.TOKEN_CREATED, user, describe(token))
    return token, secret


def revoke(tokens: QuerySet[AuthToken]) -> int:
    """Delete tokens, and the tokens that they created. Returns the number of the former."""
    with transaction.atomic():
        rows = list(tokens.order_by().select_related("user"))
        number: int = AuthToken.objects.filter(pk__in=[token.pk for token in rows]).delete()[0]
        for token in rows:
            Event.objects.record(Event.Kind.TOKEN_REVOKED, token.user, describe(token))
    return number


def describe(token: AuthToken) -> str:
    return f"{token.name} ({token.mark})"


def make_room(user: User, name: str | None) -> None:
    limit: int = settings.REST_KNOX["TOKEN_LIMIT_PER_USER"]
    valid = AuthToken.objects.filter(user=user).valid()
    if valid.count() < limit:
        return
    oldest = valid.filter(name=name).order_by("created", "digest").first()
    if oldest is None:
        raise TooManyTokens(limit)
    revoke(valid.filter(pk=oldest.pk))


def issue_child(parent: AuthToken, values: dict[str, Any]) -> tuple[AuthToken, str]:
    """A token that another token creates. It may do at most what its parent may, and ends at the latest with it."""
    ends_at = timezone.now() + TOKEN_LIFETIME
    if parent.expiry is not None:
        ends_at = min(ends_at, parent.expiry)
    limits = {"scopes": parent.scopes, "allowed_ips": parent.allowed_ips, "expires_at": ends_at} | values
    refuse_wider(parent, limits)
    with transaction.atomic():
        # Locks the parent: a request that revokes it at this moment waits, and then revokes the child too.
        if not AuthToken.objects.select_for_update(no_key=True).filter(pk=parent.pk).exists():
            raise AuthenticationFailed
        return issue_token(parent.user, **limits, parent=parent, created_by=f"token:{parent.mark}")


def refuse_wider(parent: AuthToken, limits: dict[str, Any]) -> None:
    """Raise InvalidBody if a limit is wider than the parent's. It names each of them."""
    faults = [
        Fault(f"/scopes/{number}", WIDER, f"The token that creates this one doesn't have the scope {scope}.")
        for number, scope in enumerate(limits["scopes"])
        if parent.scopes and scope not in parent.scopes
    ]
    faults += [
        Fault(f"/allowed_ips/{number}", WIDER, f"The token that creates this one can't be used from all of {network}.")
        for number, network in enumerate(limits["allowed_ips"])
        if parent.allowed_ips and not is_part(network, parent.allowed_ips)
    ]
    if parent.expiry is not None and limits["expires_at"] > parent.expiry:
        ends_at = f"{parent.expiry:%Y-%m-%dT%H:%M:%SZ}"
        faults.append(Fault("/expires_at", WIDER, f"The token that creates this one expires at {ends_at}."))
    if faults:
        raise InvalidBody(faults, "Send your password in the body to create an independent token.")


def is_part(network: str, of: Sequence[str]) -> bool:
    inner: Any = ip_network(network)
    return any(inner.version == outer.version and inner.subnet_of(outer) for outer in map(ip_network, of))
