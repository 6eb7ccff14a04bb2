"""The catalogue's own errors; config/api/problems/errors.py has those that all endpoints share.

ApiError
├── ChangesGone                           410
├── TooManyRecipes                        409
├── FileRefused                           422  an upload
└── ImportsWaiting                        429
"""

from http import HTTPStatus

from config.api.problems.errors import ApiError, Conflict, Fault


class ChangesGone(ApiError):
    """The feed can't continue from this position: it is purged, before a TRUNCATE, or newer than the log itself."""

    status_code = HTTPStatus.GONE
    default_code = "changes_gone"

    def __init__(self, name: str, reason: str) -> None:
        detail = f"The changes since then are not known: {reason}."
        hint = "Read X-Changes-Cursor by HEAD changes/, then take a full export, then follow from that cursor."
        super().__init__(detail, hint, [Fault(f"?{name}", "changes_gone", detail)])


class FileRefused(ApiError):
    """The file can't be imported at all: wrong format, damaged, a column missing, or compressed too strongly."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "file_refused"

    def __init__(self, sentence: str) -> None:
        _, _, remedy = sentence.partition(": ")
        super().__init__(
            sentence, f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "Correct the file and send it again."
        )


class ImportsWaiting(ApiError):
    """The caller has reached the limit of imports that wait or run at one time."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "imports_waiting"
    wait = 60

    def __init__(self, most: int) -> None:
        detail = f"You have {most} imports that wait or run; this is the limit."
        super().__init__(detail, "Send the file again when one of them has finished.")


class TooManyRecipes(Conflict):
    """The caller has reached the limit of recipes for imports."""

    default_code = "too_many_recipes"

    def __init__(self, most: int) -> None:
        super().__init__(f"You have {most} recipes; this is the limit.", "Delete one that you no longer need.")
