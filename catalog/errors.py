"""What the catalogue refuses beside the errors that every endpoint shares.

ApiError
└── ChangesGone                           410
"""

from http import HTTPStatus

from config.api.errors import ApiError, Fault


class ChangesGone(ApiError):
    """The change log doesn't reach back to the cursor, a table was truncated since, or the log never got that far."""

    status_code = HTTPStatus.GONE
    default_code = "changes_gone"

    def __init__(self, name: str, reason: str) -> None:
        detail = f"What changed since then can't be told: {reason}."
        hint = "Read X-Changes-Cursor by HEAD changes/, then take a full export, then follow from that cursor."
        super().__init__(detail, hint, [Fault(f"?{name}", "changes_gone", detail)])
