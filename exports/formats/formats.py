"""All formats of streams by name, and those of the parts of jobs."""

from exports.formats.agentic import Agentic
from exports.formats.encoders import Csv, FlatRows, Format, Ndjson
from exports.formats.google import GoogleRss, GoogleTsv

FORMATS: dict[str, type[Format]] = {format_.suffix: format_ for format_ in (Csv, Ndjson, GoogleRss, GoogleTsv, Agentic)}
PART_FORMATS: dict[str, type[Format]] = {**FORMATS, FlatRows.suffix: FlatRows}
