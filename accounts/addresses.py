"""Adds an address to a user, and copies addresses into orders.

A user has a limited number of addresses, and is shown with all of them.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.errors import TooManyAddresses
from accounts.models import Address, User
from config.api.problems.errors import Fault, InvalidBody

GREATEST_ADDRESSES = 50

# The columns of an order that are copies of addresses, and what they copy.
ORDER_ADDRESSES = ("shipping_address", "billing_address")
COPIED = ("name", "line1", "line2", "city", "postcode", "country")


def add_address(user: User, values: dict[str, Any]) -> Address:
    """Create an address. Raises TooManyAddresses if the user already has GREATEST_ADDRESSES."""
    with transaction.atomic():
        # Locks the user's row, so that two requests at once can't both add the last allowed address.
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        if Address.objects.filter(user=user).count() >= GREATEST_ADDRESSES:
            raise TooManyAddresses(GREATEST_ADDRESSES)
        return Address.objects.create(user=user, **values)


def copy_addresses(user: User, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with a copy in place of each id of an address of the user. An address may be an object or null.

    One query if there are ids. Raises InvalidBody for an id that isn't one of the user's addresses.
    """
    ids = {name: values[name] for name in ORDER_ADDRESSES if isinstance(values.get(name), int)}
    rows = Address.objects.filter(user=user, pk__in=ids.values()).values("pk", *COPIED) if ids else ()
    found = {row.pop("pk"): row for row in rows}
    if missing := [name for name, key in ids.items() if key not in found]:
        raise InvalidBody(
            [Fault(f"/{name}", "not_found", f"The customer has no address {ids[name]}.") for name in missing]
        )
    return {**values, **{name: found[key] for name, key in ids.items()}}
