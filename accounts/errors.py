"""What accounts refuse beside the errors that every endpoint shares.

ApiError
├── WrongCredentials                      401  signing in
└── Conflict                              409
    ├── TooManyTokens, TooManyAddresses
    ├── OutOfStock                        an order's lines
    └── WrongStep                         an order's status
"""

from collections.abc import Sequence
from http import HTTPStatus

from config.api.problems.errors import ApiError, Conflict, Fault


class WrongCredentials(ApiError):
    """Address and password don't belong together; which of them is wrong is not said."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_code = "wrong_credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class TooManyTokens(Conflict):
    """A user has as many valid tokens as a user may have."""

    default_code = "too_many_tokens"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} tokens, which is the most.", "Revoke one that you don't need any more.")


class TooManyAddresses(Conflict):
    """A user has as many addresses as a user may have."""

    default_code = "too_many_addresses"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} addresses, which is the most.", "Delete one that you don't need any more.")


class OutOfStock(Conflict):
    """Fewer pieces are free than an order wants; its lines are named, and nothing was reserved."""

    default_code = "out_of_stock"

    def __init__(self, faults: Sequence[Fault], skus: Sequence[str]) -> None:
        super().__init__(f"Out of stock: {', '.join(skus)}.", "Order fewer of them, or leave them out.", faults)


class WrongStep(Conflict):
    """A status that doesn't follow from the one that the order has."""

    default_code = "wrong_step"

    def __init__(self, status: str, asked: str, allowed: Sequence[str]) -> None:
        hint = f"From {status} it goes to {' or '.join(allowed)}." if allowed else f"{status} is its last status."
        super().__init__(f"The order is {status} and can't become {asked}.", hint)
