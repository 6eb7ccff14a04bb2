"""What exports refuse beside the errors that every endpoint shares.

ApiError
├── NotReady                              409  the job has no file yet, or never will
├── FileGone                              410  its time is over
├── RangeNotSatisfiable                   416
├── TooManyRows                           422
└── QuotaReached                          429
"""

from http import HTTPStatus

from config.api.problems.errors import ApiError, Fault


class NotReady(ApiError):
    """The job has no file yet, or it failed or was canceled and will never have one."""

    status_code = HTTPStatus.CONFLICT
    default_code = "export_not_ready"

    def __init__(self, status: str, reason: str = "") -> None:
        hint = reason or "Ask for the job's state until its status is ready."
        super().__init__(f"The export is {status}, so there is no file.", hint)


class FileGone(ApiError):
    """The file was deleted when its time was over."""

    status_code = HTTPStatus.GONE
    default_code = "export_expired"

    def __init__(self) -> None:
        super().__init__("The export has expired, and its file is deleted.", "POST exports/ again.")


class RangeNotSatisfiable(ApiError):
    """The file ends before the range begins; `Content-Range` names its size."""

    status_code = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    default_code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes, and the range begins behind them.")
        self.headers = {"Content-Range": f"bytes */{size}"}


class TooManyRows(ApiError):
    """More rows than a file of the format can hold."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "too_many_rows"

    def __init__(self, name: str, most: int) -> None:
        detail = f"A {name} file ends at {most} rows, and these are more."
        hint = "Ask for csv, ndjson or parquet, or for fewer rows by filters."
        super().__init__(detail, hint, [Fault("/format", "too_many_rows", detail)])


class QuotaReached(ApiError):
    """The caller has as many jobs, or bytes in their files, as one may have."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "export_quota_reached"
    wait = 60

    def __init__(self, what: str) -> None:
        super().__init__(f"You have {what}, as many as one may have.", "DELETE a job that you don't need any more.")
