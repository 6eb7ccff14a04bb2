"""WSGI in, WSGI out: puts the path under which a proxy shows this server, such as `/shop`, into SCRIPT_NAME.

From there Django, the gates and the plans write it in front of all addresses. It is BASE_PATH for every request, or
what the trusted proxies say in `X-Forwarded-Prefix`, which may differ from request to request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from django.conf import settings

from config.api.problems.errors import InvalidHeader
from config.serving.refusals import Environ, StartResponse, refuse

HEADER, NAME = "X-Forwarded-Prefix", "HTTP_X_FORWARDED_PREFIX"
# Plain segments only: the prefix is written into pages and links.
PREFIX = re.compile(r"(/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~-]+){1,8}")


class SubPath:
    """Wraps `application` outside everything else."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if settings.BASE_PATH:
            mount(environ, settings.BASE_PATH)
        elif NAME in environ:
            try:
                environ["SCRIPT_NAME"] = read_prefix(environ[NAME], settings.TRUSTED_PROXIES)
            except InvalidHeader as error:
                return refuse(error, environ, start_response)
        return self.application(environ, start_response)


def mount(environ: Environ, base: str) -> None:
    """Take `base` off the path, if the proxy has left it there."""
    environ["SCRIPT_NAME"] = base
    path = environ["PATH_INFO"]
    if path == base or path.startswith(f"{base}/"):
        environ["PATH_INFO"] = path[len(base) :] or "/"


def read_prefix(text: str, proxies: int) -> str:
    """What the last `proxies` proxies took off the path, the outermost first; "" if they took nothing."""
    parts = [part.strip().rstrip("/") for part in text.split(",")]
    prefix = "".join(parts[-proxies:])
    if prefix and not PREFIX.fullmatch(prefix):
        raise InvalidHeader(HEADER, "It must be a path of plain segments, as in /shop.", "The proxy in front sends it.")
    return prefix
