"""What accounts refuse beside the errors that every endpoint shares.

ApiError
├── WrongCredentials                      401  signing in
└── Conflict
    └── TooManyTokens                     409
"""

from http import HTTPStatus

from config.api.errors import ApiError, Conflict


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
