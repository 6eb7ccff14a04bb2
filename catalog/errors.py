"""What the catalogue refuses beside the errors that every endpoint shares.

ApiError
├── ChangesGone                           410
├── FileRefused                           422  an upload
└── ImportsWaiting                        429
"""

from http import HTTPStatus

from config.api.problems.errors import ApiError, Fault


class ChangesGone(ApiError):
    """The change log doesn't reach back to the cursor, a table was truncated since, or the log never got that far."""

    status_code = HTTPStatus.GONE
    default_code = "changes_gone"

    def __init__(self, name: str, reason: str) -> None:
        detail = f"What changed since then can't be told: {reason}."
        hint = "Read X-Changes-Cursor by HEAD changes/, then take a full export, then follow from that cursor."
        super().__init__(detail, hint, [Fault(f"?{name}", "changes_gone", detail)])


class FileRefused(ApiError):
    """The file can't be imported at all: not what it says, damaged, without a needed column, or packed too tightly."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "file_refused"

    def __init__(self, sentence: str) -> None:
        _, _, remedy = sentence.partition(": ")
        super().__init__(
            sentence, f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "Mend the file and send it again."
        )


class ImportsWaiting(ApiError):
    """The caller has as many imports waiting or under way as one may have."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "imports_waiting"
    wait = 60

    def __init__(self, most: int) -> None:
        super().__init__(f"You have {most} imports waiting or under way, as many as one may have.", "Wait for one.")
