"""A user in, a named token that expires out; its secret is returned once, and only its digest is kept."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from accounts.errors import TooManyTokens
from accounts.models import AuthToken, User

TOKEN_LIFETIME = timedelta(days=90)
GREATEST_LIFETIME = timedelta(days=366)


def sign_in(user: User, name: str) -> tuple[AuthToken, str]:
    """A token for who has just proved a password; past the limit it takes the place of the oldest of its name.

    Who signs in each day would be locked out after 50 days else.
    """
    return issue_token(user, name, timezone.now() + TOKEN_LIFETIME, replace=True)


def issue_token(user: User, name: str, expires_at: datetime, replace: bool = False) -> tuple[AuthToken, str]:
    """The row and its secret; TooManyTokens past TOKEN_LIMIT_PER_USER valid ones."""
    with transaction.atomic():
        # The user's row is the lock: two requests at once would both be the last that is allowed.
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        make_room(user, name if replace else None)
        digest, secret = get_digest_token()
        token_key = secret[: CONSTANTS.TOKEN_KEY_LENGTH]
        # Not by knox's manager, which takes a duration, and would miss the time that was asked for by microseconds.
        token = AuthToken(digest=digest, token_key=token_key, user=user, name=name, expiry=expires_at)
        token.save(force_insert=True)
    return token, secret


def make_room(user: User, name: str | None) -> None:
    limit: int = settings.REST_KNOX["TOKEN_LIMIT_PER_USER"]
    valid = AuthToken.objects.filter(user=user).valid()
    if valid.count() < limit:
        return
    oldest = valid.filter(name=name).order_by("created", "digest").first()
    if oldest is None:
        raise TooManyTokens(limit)
    oldest.delete()
