"""Limits a request's body by its route, and reads it before the request takes a slot.

The Content-Length is checked before a byte is read. Reading happens outside the slots, in a share and with a time
limit, so a slow client blocks no other.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

from django.conf import settings
from django.urls import Resolver404, ResolverMatch, resolve
from rest_framework.permissions import AllowAny

from config.api.problems.errors import BodyTooLarge
from config.serving.file_forms import find_file_form
from config.serving.readings import Reading
from config.serving.shares import Share

type Environ = dict[str, Any]

# The bytes of a body that stay in memory. A larger body goes into a temporary file.
MEMORY_BYTES = 256 * 1024
# The most bytes of a body without credentials, which is enough to sign in. A body of 16 KB took 7 ms of CPU to refuse.
STRANGER_BYTES = 8 * 1024
# The routes of the HTML pages where people sign in.
SIGN_IN = frozenset({"admin:login", "rest_framework:login"})


class When(Enum):
    """When a body is read."""

    AHEAD = "before the request takes a slot"
    STREAMED = "by the view, piece by piece"
    NEVER = "never: the view answers 401 or 403"


class BodyRule(NamedTuple):
    """The most bytes of a body, and when it is read."""

    limit: int
    when: When = When.AHEAD

    def refuse(self) -> BodyTooLarge:
        hint = "Sign in before you send more." if self.limit == STRANGER_BYTES else "Send it in several requests."
        return BodyTooLarge(self.limit, hint)


def has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def has_credentials(environ: Environ) -> bool:
    """Whether the request has a token or a session, which aren't checked yet."""
    return "HTTP_AUTHORIZATION" in environ or f"{settings.SESSION_COOKIE_NAME}=" in environ.get("HTTP_COOKIE", "")


def read_length(environ: Environ) -> int | None:
    """The Content-Length in bytes; None for a chunked body."""
    text: str = environ.get("CONTENT_LENGTH") or ""
    return int(text[:19]) if text.isdecimal() else None


def find_rule(environ: Environ) -> BodyRule:
    """The rule for a request's body. It depends on the route, and on whether the request has credentials."""
    match = match_path(read_path(environ))
    view = getattr(match.func, "cls", None) if match else None
    if AllowAny in getattr(view, "permission_classes", ()) or (match and match.view_name in SIGN_IN):
        return BodyRule(STRANGER_BYTES)
    if not has_credentials(environ):
        return BodyRule(STRANGER_BYTES) if view is None else BodyRule(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, When.NEVER)
    if is_form_in_chunks(environ):
        return BodyRule(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if page := find_file_form(match):
        return BodyRule(page.most_bytes, When.STREAMED)
    find_limit, streamed = getattr(view, "find_body_limit", None), getattr(view, "streamed_type", "")
    if find_limit and environ.get("CONTENT_TYPE", "").lower().startswith(streamed):
        return BodyRule(find_limit(), When.STREAMED)
    return BodyRule(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def read_path(environ: Environ) -> str:
    """The path as text. Callers within this process may pass characters that no server does. They match no route."""
    path: str = environ["PATH_INFO"]
    return path if path.isascii() else path.encode("latin-1", "replace").decode(errors="replace")


@lru_cache(maxsize=1024)
def match_path(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        # The middleware OptionalSlash does the same.
        return None if path.endswith("/") else match_path(f"{path}/")


def is_form_in_chunks(environ: Environ) -> bool:
    """Whether the body is a form without a length. Django reads forms itself, and needs the length."""
    is_form = environ.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data")
    return is_form and read_length(environ) is None


def read_ahead(environ: Environ, limit: int, share: Share[int]) -> None:
    """Read the body into `wsgi.input`. Of a chunked body, read at most `limit` bytes plus one, and set its length.

    Raises BodyTooSlow if the client is too slow.
    """
    length = read_length(environ)
    body, size = read_at_most(Reading(environ, share), limit + 1 if length is None else length)
    environ["wsgi.input"] = body
    if length is None:
        environ["CONTENT_LENGTH"] = str(size)


def read_at_most(stream: Any, most: int) -> tuple[IO[bytes], int]:
    """At most `most` bytes as a file, and their number. Reads repeatedly, since a server may return a chunk at a time.

    The caller must close the file.
    """
    body, size = SpooledTemporaryFile(MEMORY_BYTES), 0  # noqa: SIM115 (the caller closes it)
    try:
        while size < most and (piece := stream.read(min(MEMORY_BYTES, most - size))):
            size += body.write(piece)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body, size
