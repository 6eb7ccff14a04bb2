"""Conditional requests (RFC 9110, section 13): a row's ETag, `If-None-Match` and `If-Match`.

An ETag is `W/"<version>.<hash>"`. The version is the row's column, which a trigger raises with each change. The hash
is of the answered JSON, so it differs for other `fields` and `expand`. `If-None-Match` compares the whole tag,
`If-Match` only the version, which every representation of the row shares. Both compare weakly, and ignore a suffix
that a compressing proxy has added.
"""

import re
from collections.abc import Collection
from functools import lru_cache

from django.conf import settings
from django.db.models import F, IntegerField, Model
from django.http import Http404, HttpResponse, HttpResponseNotModified
from rest_framework.request import Request
from xxhash import xxh3_128_hexdigest

from config.api.problems.errors import InvalidHeader, PreconditionFailed

# A tag. Its quotes may enclose all characters except blanks, quotes and control characters.
TAG = re.compile(r'(?:W/)?"([!#-~\x80-\xff]*)"')
# Apache writes `"7.ab-gzip"`, Jetty `"7.ab--gzip"`, others `"7.ab;gzip"`.
CODING = re.compile(r"(--?|;)(gzip|deflate|br|zstd)$")
# Every number of nine digits fits the column. A longer number can't be a version.
VERSION = re.compile(r"([0-9]{1,9})\.")

# Characters, enough for about a hundred tags. Parsed headers are cached, so a longer header is an error.
LONGEST_TAGS = 4096

# Stands for a `*` without quotes. It can't be a tag, since a tag has no quotes inside.
ANY = frozenset({'"*"'})


def list_version_columns(model: type[Model]) -> tuple[str, ...]:
    """The columns that a detail selects in addition to the JSON: `version`, if the model has such an integer column."""
    columns = model._meta.concrete_fields
    return ("version",) if any(c.name == "version" and isinstance(c, IntegerField) for c in columns) else ()


def make_etag(text: bytes | str, version: int | None = None) -> str:
    """The ETag of a row's JSON.

    XXH3 is not a cryptographic hash. Somebody who may write a row could make two of its states that have the same tag,
    but nothing worse.
    """
    data = text.encode() if isinstance(text, str) else text
    before = "" if version is None else f"{version}."
    return f'W/"{before}{xxh3_128_hexdigest(data)}"'


def tag_row(request: Request, text: bytes | str, version: int | None = None) -> dict[str, str]:
    """The headers `ETag` and `Cache-Control` of an answer that is one row; no headers for an HTML page."""
    if request.accepted_renderer.format != "json":
        return {}  # a page also has forms, which depend on the reader's permissions
    return {"ETag": make_etag(text, version), "Cache-Control": name_audience(request)}


def name_audience(request: Request) -> str:
    """The `Cache-Control` of an answer that a client may keep, and must revalidate before each use.

    With CACHE_S_MAXAGE, shared caches needn't revalidate the answers to callers without credentials for so long.
    """
    if request.user.is_authenticated:
        return "private, no-cache"
    seconds = settings.CACHE_S_MAXAGE
    return f"public, max-age=0, s-maxage={seconds}" if seconds else "public, no-cache"


def spare_known(request: Request, response: HttpResponse) -> HttpResponse:
    """`response`, or a 304 without a body if the request's `If-None-Match` names its ETag."""
    if not is_known(request.headers.get("If-None-Match", ""), response.get("ETag", "")):
        return response
    headers = {name: response[name] for name in ("ETag", "Cache-Control", "Vary") if name in response}
    return HttpResponseNotModified(headers=headers)


def is_known(text: str, etag: str) -> bool:
    """Whether an `If-None-Match` names `etag`."""
    if etag and text == etag:
        return True  # nearly always it is exactly the tag that we gave; this saves 0.3 microseconds of parsing
    tags = read_tags(text, "If-None-Match")
    return bool(etag) and (tags == ANY or etag.removeprefix("W/")[1:-1] in tags)


def are_tags(text: str) -> bool:
    try:
        read_tags(text, "If-None-Match")
    except InvalidHeader:
        return False
    return True


@lru_cache(maxsize=1024)
def read_tags(text: str, name: str) -> frozenset[str]:
    """The text between the quotes of each tag, without a coding suffix; empty for no header, ANY for `*`."""
    if (bare := text.strip()) in ("", "*"):
        return ANY if bare else frozenset()
    if len(text) > LONGEST_TAGS:
        raise InvalidHeader(name, f"It has more than {LONGEST_TAGS} characters.", "Send only the newest tags.")
    tags, rest = TAG.findall(text), TAG.sub("", text)
    if rest.replace(",", "").strip() or rest.count(",") < len(tags) - 1:
        hint = 'Send the ETag exactly as you got it: W/"7.1f0c".'
        raise InvalidHeader(name, f"{text[:60]!r} is not a list of entity tags.", hint)
    return frozenset(CODING.sub("", tag) for tag in tags)


def read_versions(request: Request) -> Collection[int] | None:
    """The versions that `If-Match` allows; None if it allows any version or is missing."""
    if (text := request.headers.get("If-Match")) is None:
        return None
    if not (tags := read_tags(text, "If-Match")):
        raise InvalidHeader("If-Match", "It names no version.", "Send the row's ETag, or leave it out.")
    if tags == ANY:
        return None
    return {int(found[1]) for tag in tags if (found := VERSION.match(tag))}


def claim_version(row: Model, versions: Collection[int] | None) -> None:
    """Lock `row` until the transaction ends. Raises PreconditionFailed if its version isn't among `versions`.

    The lock is one UPDATE that changes nothing, so the trigger doesn't raise the version.
    """
    if versions is None:
        return
    if not list_version_columns(type(row)):
        raise InvalidHeader("If-Match", "This row has no version to compare with.", "Leave it out.")
    rows = type(row)._default_manager.filter(pk=row.pk)
    # The UPDATE itself compares the version: another writer might come between a SELECT and an UPDATE.
    if rows.filter(version__in=versions).update(version=F("version")):
        return
    if (present := rows.values_list("version", flat=True).first()) is None:
        raise Http404
    raise PreconditionFailed(present)
