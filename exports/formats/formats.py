"""All formats of streams, by name."""

from exports.formats.encoders import Csv, Format, Ndjson
from exports.formats.google import GoogleRss, GoogleTsv

FORMATS: dict[str, type[Format]] = {format_.suffix: format_ for format_ in (Csv, Ndjson, GoogleRss, GoogleTsv)}
