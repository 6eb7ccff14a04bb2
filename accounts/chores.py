"""Periodic tasks of accounts: delete what has expired, and cancel orders that nobody pays."""

from contextlib import suppress
from datetime import timedelta
from importlib import import_module

from django.conf import settings
from django.utils import timezone

from accounts.errors import WrongStep
from accounts.models import AuthToken, Order
from accounts.orders import move_order
from config.api.database.authorship import sign_writes

# Orders of one run, about a second.
CANCELED_AT_ONCE = 100


def delete_expired_tokens() -> int:
    """Delete expired tokens. Returns how many."""
    return AuthToken.objects.filter(expiry__lt=timezone.now()).delete()[0]


def delete_expired_sessions() -> None:
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def cancel_unpaid() -> None:
    """Cancel orders that are older than RESERVATION_MINUTES and still only placed: others may want their pieces."""
    if not settings.RESERVATION_MINUTES:
        return
    oldest = timezone.now() - timedelta(minutes=settings.RESERVATION_MINUTES)
    unpaid = Order.objects.filter(status=Order.Status.PLACED, placed_at__lt=oldest).order_by("placed_at", "pk")
    with sign_writes():
        for order in unpaid[:CANCELED_AT_ONCE]:
            # One that was paid meanwhile stays.
            with suppress(WrongStep):
                move_order(order, Order.Status.CANCELED)
