"""The errors of accounts; config/api/problems/errors.py has those that all endpoints share.

ApiError
├── WrongCredentials                      401  signing in
├── NotConfirmed                          401  signing in before the address is confirmed
├── RegistrationOff                       404  the setting REGISTRATION
└── Conflict                              409
    ├── TooManyTokens, TooManyAddresses
    ├── AddressTaken                      a registration's e-mail address
    ├── OutOfStock                        an order's lines
    ├── ReferenceUsed                     another order has it
    ├── WrongStep, NotPlaced              an order's status
    └── TooManyPieces                     a shipment's or a return's lines
"""

from collections.abc import Sequence
from http import HTTPStatus

from config.api.problems.errors import ApiError, Conflict, Fault


class WrongCredentials(ApiError):
    """The e-mail address or the password is wrong. The error doesn't tell which, so nobody can test addresses."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_code = "wrong_credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class NotConfirmed(ApiError):
    """Somebody registered with this address and password, and hasn't opened the link in the mail."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_code = "not_confirmed"

    def __init__(self) -> None:
        super().__init__(
            "The e-mail address isn't confirmed yet.",
            "Open the link in the mail. It is valid for a day; register again for a new one.",
        )


class RegistrationOff(ApiError):
    """The server takes no registrations; this is the default."""

    status_code = HTTPStatus.NOT_FOUND
    default_code = "registration_off"

    def __init__(self) -> None:
        super().__init__("This server takes no registrations.", "Its operator turns them on with REGISTRATION=true.")


class AddressTaken(Conflict):
    """A user has the e-mail address of the registration. Only who can read its mails gets this answer."""

    default_code = "address_taken"

    def __init__(self) -> None:
        super().__init__("There is an account with this e-mail address already.", "Sign in with it.")


class TooManyTokens(Conflict):
    """The user has reached the limit of valid tokens."""

    default_code = "too_many_tokens"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} tokens; this is the limit.", "Revoke one that you no longer need.")


class TooManyAddresses(Conflict):
    """The user has reached the limit of addresses."""

    default_code = "too_many_addresses"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} addresses; this is the limit.", "Delete one that you no longer need.")


class OutOfStock(Conflict):
    """Fewer pieces are free than the order needs. The faults name its lines; nothing was reserved."""

    default_code = "out_of_stock"

    def __init__(self, faults: Sequence[Fault], skus: Sequence[str]) -> None:
        super().__init__(f"Out of stock: {', '.join(skus)}.", "Order fewer of them, or leave them out.", faults)


class WrongStep(Conflict):
    """The order's status can't be followed by the requested one."""

    default_code = "wrong_step"

    def __init__(self, status: str, asked: str, allowed: Sequence[str]) -> None:
        hint = f"From {status} it can become {' or '.join(allowed)}." if allowed else f"{status} is its last status."
        super().__init__(f"The order is {status} and can't become {asked}.", hint)


class NotPlaced(Conflict):
    """The order is past `placed`, so its addresses and its note stay, and its customer can't cancel it."""

    default_code = "not_placed"

    def __init__(self, status: str) -> None:
        super().__init__(f"The order is {status}; this can be changed only while it is placed.", "Ask the shop.")


class ReferenceUsed(Conflict):
    """The user has another order with this `reference`: it was placed by another body."""

    default_code = "reference_used"

    def __init__(self, reference: str, number: str) -> None:
        fault = Fault("/reference", self.default_code, f"{reference} is the reference of order {number}.")
        super().__init__(
            f"Your order {number} has this reference, and was placed by another body.",
            "Use a new reference for each order.",
            [fault],
        )


class TooManyPieces(Conflict):
    """A shipment or a return has more pieces than the order's lines have left. The faults name its lines."""

    default_code = "too_many_pieces"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].detail, "Read the order again, and send fewer pieces.", faults)
