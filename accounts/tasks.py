"""What the worker does for accounts."""

from django.tasks import task
from django.utils import timezone

from accounts.models import AuthToken


@task()
def delete_expired_tokens() -> int:
    """Delete the tokens whose time is over; their number."""
    return AuthToken.objects.filter(expiry__lt=timezone.now()).delete()[0]
