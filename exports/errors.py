"""The errors of exports; config/api/problems/errors.py has those that all endpoints share.

ApiError
├── TooManyFeeds                          409
├── NotReady                              409  the job has no file yet, or never will
├── FileGone                              410  the file has expired
├── RangeNotSatisfiable                   416
├── TooManyRows, SettingMissing           422
└── QuotaReached                          429
"""

from http import HTTPStatus

from config.api.problems.errors import ApiError, Conflict, Fault


class NotReady(ApiError):
    """The job has no file yet, or it failed or was canceled and will never have one."""

    status_code = HTTPStatus.CONFLICT
    default_code = "export_not_ready"

    def __init__(self, status: str, reason: str = "") -> None:
        hint = reason or "Repeat GET on the job until its status is ready."
        super().__init__(f"The export is {status}, so there is no file.", hint)


class FileGone(ApiError):
    """The file has expired and was deleted."""

    status_code = HTTPStatus.GONE
    default_code = "export_expired"

    def __init__(self) -> None:
        super().__init__("The export has expired, and its file is deleted.", "POST exports/ again.")


class RangeNotSatisfiable(ApiError):
    """The range begins after the file's end. The header `Content-Range` has the file's size."""

    status_code = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    default_code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes, and the range begins after them.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class TooManyRows(ApiError):
    """The export has more rows than a file of this format can have."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "too_many_rows"

    def __init__(self, name: str, most: int) -> None:
        detail = f"A {name} file can have at most {most} rows, and these are more."
        hint = "Use the format csv, ndjson or parquet, or filters that leave fewer rows."
        super().__init__(detail, hint, [Fault("/format", "too_many_rows", detail)])


class SettingMissing(ApiError):
    """The format needs a setting that this server doesn't have."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "setting_missing"

    def __init__(self, name: str, what: str, example: str) -> None:
        detail = f"{name} isn't set on this server, and {what}."
        super().__init__(detail, f"Set it, as in {name}={example}.", [Fault("/format", "setting_missing", detail)])


class QuotaReached(ApiError):
    """The caller has reached the limit of export jobs, or of bytes in their files."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "export_quota_reached"
    wait = 60

    def __init__(self, what: str) -> None:
        super().__init__(f"You have {what}; this is the limit.", "DELETE a job that you no longer need.")


class TooManyFeeds(Conflict):
    """The caller has reached the limit of feeds."""

    default_code = "too_many_feeds"

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} feeds; this is the limit.", "Delete one that you no longer need.")
