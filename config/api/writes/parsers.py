"""JSON bodies in, Python values out. Values that can't be stored exactly are errors."""

import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.utils.http import parse_header_parameters
from drf_orjson_renderer.parsers import ORJSONParser
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import JSONParser as DRFJSONParser

from config.api.problems.errors import BodyTooDeep, BodyTooLarge, Fault, InvalidBody, write_pointer
from config.api.rendering.renderers import JSONRenderer

WHOLE_NUMBERS = range(-(2**63), 2**63)
GREATEST_DEPTH = 32
# The most entries of a list, or members of an object. Endpoints may have lower limits.
GREATEST_LENGTH = 10_000

# 16 + the window tells zlib to read a gzip header and a trailer.
GZIP_WINDOW = 16 + zlib.MAX_WBITS

# The end of a member's name. Some texts match too.
NAME_ENDS = re.compile(rb'"\s*:')

# The names and indexes that lead to a value.
type Way = tuple[str | int, ...]


class JSONParser(ORJSONParser, DRFJSONParser):
    """drf-orjson-renderer's parser, with limits. Also a subclass of DRF's, the only one whose size DRF limits.

    400 for bad JSON, repeated members, more than 32 levels, lists of more than 10,000 entries, and numbers of more than
    64 bits. 413 above MAX_BODY_BYTES. 415 for charsets other than UTF-8 (`bz2_codec` would be a decompression bomb).
    """

    # For the raw data form of the browsable API.
    renderer_class = JSONRenderer

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        charset = parse_header_parameters(media_type or "")[1].get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(media_type or "", f"Charset {charset!r} is not accepted, only UTF-8.")
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        request = (parser_context or {}).get("request")
        body = unpack(body, request.headers.get("Content-Encoding", "") if request else "")
        if request and getattr(getattr(request, "accepted_renderer", None), "format", "") == "api":
            request.sent_body = body  # its form shows it again (rendering/forms.py)
        try:
            data = super().parse(BytesIO(body), media_type, {"encoding": "utf-8"})
        except ParseError as error:
            reason = error.__context__  # the error of orjson or of the codec
            if "depth limit" in str(reason):  # orjson's own limit, 1,024 levels
                raise BodyTooDeep(GREATEST_DEPTH) from error
            raise ParseError(f"The body is not JSON: {reason}") from error
        check_value(data)
        refuse_doubled(body, data)
        return data


def unpack(body: bytes, coding: str) -> bytes:
    """The body without its `Content-Encoding`, as large as a plain one may be. 415 for any coding but gzip."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        detail = f"Content-Encoding {coding[:20]!r} is not accepted, only gzip."
        raise UnsupportedMediaType(coding, detail)
    try:
        unpacker = zlib.decompressobj(GZIP_WINDOW)
        plain = unpacker.decompress(body, settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    except zlib.error as error:
        raise ParseError("The body is not gzip, as its Content-Encoding says.") from error
    if len(plain) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if not unpacker.eof or unpacker.unused_data:
        raise ParseError("The body is not one whole gzip member, as its Content-Encoding says.")
    return plain


def check_value(value: Any, way: Way = ()) -> None:
    """Raise ParseError, BodyTooDeep or InvalidBody for values that can't be stored exactly, or are too large."""
    kind = type(value)
    if kind is dict or kind is list:
        check_size(value, way)
        for name, below in value.items() if kind is dict else enumerate(value):
            check_value(below, (*way, name))
    elif kind is str:
        check_text(value)
    # orjson reads an integer of more than 64 bits as a float and loses digits.
    elif kind is float and value.is_integer() and int(value) not in WHOLE_NUMBERS:
        raise ParseError("The body has a number of more than 64 bits: send it as a string.")


def check_size(value: dict[str, Any] | list[Any], way: Way) -> None:
    if len(way) >= GREATEST_DEPTH:
        raise BodyTooDeep(GREATEST_DEPTH, write_pointer(way))
    if len(value) > GREATEST_LENGTH:
        detail = f"This has {len(value)} entries; at most {GREATEST_LENGTH} are allowed."
        raise InvalidBody([Fault(write_pointer(way), "max_length", detail)])
    for name in value if isinstance(value, dict) else ():
        check_text(name)


def check_text(text: str) -> None:
    if "\0" in text:
        raise ParseError("The body has a NUL character, which no text may have.")


def refuse_doubled(body: bytes, data: Any) -> None:
    """Raise ParseError if an object has a member twice. orjson silently keeps the last one."""
    # The body has at least one match for each name. If it has no more matches than names, no name is repeated.
    if len(NAME_ENDS.findall(body)) > count_names([data]):
        # A name is repeated, or a text looks like a name. The slow parser (ten times the time) finds out.
        json.loads(body, object_pairs_hook=build_object)


# The types of values that have others below them; orjson makes no subclasses.
NESTED = frozenset({dict, list})


def count_names(value: dict[str, Any] | list[Any]) -> int:
    names, below = (len(value), value.values()) if isinstance(value, dict) else (0, value)
    return names + sum([count_names(part) for part in below if type(part) in NESTED])


def build_object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = Counter(name for name, _ in members)
        raise ParseError(f"The body names {names.most_common(1)[0][0]!r} twice in one object.")
    return found
