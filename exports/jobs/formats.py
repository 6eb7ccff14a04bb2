"""What a job's file can be: the text that its parts write, the name and type of the file, who puts it together."""

from dataclasses import dataclass
from importlib.util import find_spec

from config.api.problems.errors import MissingExtra
from exports.formats.encoders import FORMATS

# Excel's own bounds; the first row is the header.
XLSX_ROWS = 1_048_576 - 1
XLSX_LETTERS = 32_767


@dataclass(frozen=True)
class JobFormat:
    """`rows` is the format that the parts are written in; `extra` what pip has to install, and its package."""

    media_type: str
    rows: str
    extra: tuple[str, str] | None = None
    has_nested: bool = False
    most_rows: int | None = None
    # Puts the file together from rows as JSON; such a file compresses itself.
    builder: str | None = None


JOB_FORMATS = {
    # What a stream can be, a job's file can be.
    **{name: JobFormat(kind.media_type, name, has_nested=kind.has_nested) for name, kind in FORMATS.items()},
    "parquet": JobFormat(
        "application/vnd.apache.parquet", "ndjson", ("parquet", "pyarrow"), builder="exports.jobs.parquet.write_parquet"
    ),
    "xlsx": JobFormat(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "ndjson",
        ("xlsx", "xlsxwriter"),
        most_rows=XLSX_ROWS,
        builder="exports.jobs.xlsx.write_xlsx",
    ),
}


def require_extra(name: str) -> None:
    """MissingExtra where the package behind the format isn't installed."""
    extra = JOB_FORMATS[name].extra
    if extra and find_spec(extra[1]) is None:
        raise MissingExtra("format", *extra)
