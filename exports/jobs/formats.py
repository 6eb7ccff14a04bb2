"""The formats of a job's file: its media type, the format of its parts, and the function that builds the file."""

from dataclasses import dataclass
from importlib.util import find_spec

from config.api.problems.errors import MissingExtra
from exports.formats.formats import FORMATS

# Excel's limits. The first row is the header.
XLSX_ROWS = 1_048_576 - 1
XLSX_LETTERS = 32_767


@dataclass(frozen=True)
class JobFormat:
    """`rows` is the format of the parts. `extra` is the pip extra that the format needs, and its package."""

    media_type: str
    rows: str
    extra: tuple[str, str] | None = None
    has_nested: bool = False
    # Whether `fields` chooses what rows have.
    has_members: bool = True
    # The end of the file's name, if it isn't the format's name.
    suffix: str = ""
    most_rows: int | None = None
    # The function that builds the file from the rows' JSON. Such a format is compressed by itself.
    builder: str | None = None


JOB_FORMATS = {
    # All formats of streams.
    **{
        name: JobFormat(
            kind.media_type, name, has_nested=kind.has_nested, has_members=not kind.shape, suffix=kind.file_suffix
        )
        for name, kind in FORMATS.items()
    },
    "parquet": JobFormat(
        "application/vnd.apache.parquet",
        "rows",
        ("parquet", "pyarrow"),
        builder="exports.jobs.parquet.write_parquet",
    ),
    "xlsx": JobFormat(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "rows",
        ("xlsx", "xlsxwriter"),
        most_rows=XLSX_ROWS,
        builder="exports.jobs.xlsx.write_xlsx",
    ),
}


def require_extra(name: str) -> None:
    """Raise MissingExtra if the package that the format needs isn't installed."""
    extra = JOB_FORMATS[name].extra
    if extra and find_spec(extra[1]) is None:
        raise MissingExtra("format", *extra)
