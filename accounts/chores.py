"""What a worker does for accounts: what has expired goes."""

from importlib import import_module

from django.conf import settings
from django.utils import timezone

from accounts.models import AuthToken


def delete_expired_tokens() -> int:
    """Delete the tokens whose time is over; their number."""
    return AuthToken.objects.filter(expiry__lt=timezone.now()).delete()[0]


def delete_expired_sessions() -> None:
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
