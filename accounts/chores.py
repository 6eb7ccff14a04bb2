"""Periodic tasks of accounts: delete what has expired."""

from importlib import import_module

from django.conf import settings
from django.utils import timezone

from accounts.models import AuthToken


def delete_expired_tokens() -> int:
    """Delete expired tokens. Returns how many."""
    return AuthToken.objects.filter(expiry__lt=timezone.now()).delete()[0]


def delete_expired_sessions() -> None:
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
