"""A user's new address; so many and no more, since a user is shown with all of them."""

from typing import Any

from django.db import transaction

from accounts.errors import TooManyAddresses
from accounts.models import Address, User

GREATEST_ADDRESSES = 50


def add_address(user: User, values: dict[str, Any]) -> Address:
    """The address; TooManyAddresses past GREATEST_ADDRESSES."""
    with transaction.atomic():
        # The user's row is the lock: two requests at once would both be the last that is allowed.
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        if Address.objects.filter(user=user).count() >= GREATEST_ADDRESSES:
            raise TooManyAddresses(GREATEST_ADDRESSES)
        return Address.objects.create(user=user, **values)
