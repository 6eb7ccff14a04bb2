"""Adds an address to a user. The number is limited, since a user is shown with all addresses."""

from typing import Any

from django.db import transaction

from accounts.errors import TooManyAddresses
from accounts.models import Address, User

GREATEST_ADDRESSES = 50


def add_address(user: User, values: dict[str, Any]) -> Address:
    """Create an address. Raises TooManyAddresses if the user already has GREATEST_ADDRESSES."""
    with transaction.atomic():
        # Locks the user's row, so that two requests at once can't both add the last allowed address.
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        if Address.objects.filter(user=user).count() >= GREATEST_ADDRESSES:
            raise TooManyAddresses(GREATEST_ADDRESSES)
        return Address.objects.create(user=user, **values)
