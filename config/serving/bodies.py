"""A request's body: how large it may be by its route, and read before the request takes a slot.

Its length is compared before a byte is read. It is read outside the slots, within a share and a time, so a slow client
holds up nobody.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.urls import Resolver404, ResolverMatch, resolve
from rest_framework.permissions import AllowAny

from config.api.problems.errors import BodyTooLarge
from config.serving.readings import Reading
from config.serving.shares import Share

type Environ = dict[str, Any]

# Bytes of a body that stay in memory; the rest lies in a temporary file.
MEMORY_BYTES = 256 * 1024
# Bytes that anybody may send, which is enough to sign in.
STRANGER_BYTES = 16 * 1024
# The pages for people where they sign in, by the names of their routes.
SIGN_IN = frozenset({"admin:login", "rest_framework:login"})


class When(Enum):
    """When a body is read."""

    AHEAD = "before the request takes a slot"
    STREAMED = "by the view, piece by piece"
    NEVER = "the view sends its caller away"


class BodyRule(NamedTuple):
    """How many bytes a body may have, and when it is read."""

    limit: int
    when: When = When.AHEAD

    def refuse(self) -> BodyTooLarge:
        hint = "Sign in before you send more." if self.limit == STRANGER_BYTES else "Send it in several requests."
        return BodyTooLarge(self.limit, hint)


def has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def has_credentials(environ: Environ) -> bool:
    """Whether the request brings a token or a session; nobody has looked at them yet."""
    return "HTTP_AUTHORIZATION" in environ or f"{settings.SESSION_COOKIE_NAME}=" in environ.get("HTTP_COOKIE", "")


def read_length(environ: Environ) -> int | None:
    """None for a body that comes in chunks."""
    text: str = environ.get("CONTENT_LENGTH") or ""
    return int(text[:19]) if text.isdecimal() else None


def find_rule(environ: Environ) -> BodyRule:
    """The rule for the body of a request, by its route and by whether it brings credentials."""
    path: str = environ["PATH_INFO"]
    match = match_path(path if path.isascii() else get_path_info(environ))
    view = getattr(match.func, "cls", None) if match else None
    if AllowAny in getattr(view, "permission_classes", ()) or (match and match.view_name in SIGN_IN):
        return BodyRule(STRANGER_BYTES)
    if not has_credentials(environ):
        return BodyRule(STRANGER_BYTES) if view is None else BodyRule(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, When.NEVER)
    find_limit = getattr(view, "find_body_limit", None)
    if find_limit and not is_form_in_chunks(environ):
        return BodyRule(find_limit(), When.STREAMED)
    return BodyRule(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


@lru_cache(maxsize=1024)
def match_path(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        # The middleware OptionalSlash does the same.
        return None if path.endswith("/") else match_path(f"{path}/")


def is_form_in_chunks(environ: Environ) -> bool:
    """Django reads a form itself, and needs its length."""
    is_form = environ.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data")
    return is_form and read_length(environ) is None


def read_ahead(environ: Environ, limit: int, share: Share) -> None:
    """Read a body of at most `limit` bytes, and one byte more of one without a length, which has its length then.

    BodyTooSlow past its time.
    """
    length = read_length(environ)
    body, size = read_at_most(Reading(environ, share), limit + 1 if length is None else length)
    environ["wsgi.input"] = body
    if length is None:
        environ["CONTENT_LENGTH"] = str(size)


def read_at_most(stream: Any, most: int) -> tuple[IO[bytes], int]:
    """Up to `most` bytes as a file, and their number; in several reads, since a server may give a chunk at a time.

    The caller closes the file.
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
