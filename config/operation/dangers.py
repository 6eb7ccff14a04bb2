"""Settings in, dangers out: settings that are dangerous if other machines can reach the server.

The server's start, `check --deploy` and `doctor` use it. The launcher imports it, so it loads no app.
"""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from redis.connection import parse_url

# The least length of a SECRET_KEY, which signs sessions and cursors. `make run` writes a longer one.
LEAST_SECRET = 32
# The beginnings of secrets in examples, and in new projects of Django.
KNOWN_SECRETS = ("django-insecure-", "changeme", "secret", "only-to-read")
LOOPBACK = ("127.", "localhost", "::1")


class Danger(NamedTuple):
    """`name` is the variable, `detail` the problem, `remedy` what to do."""

    name: str
    detail: str
    remedy: str


def is_exposed() -> bool:
    """Whether other machines can reach the server."""
    return settings.HTTPS or not settings.HOST.startswith(LOOPBACK)


def has_proxy() -> bool:
    """Whether the settings say that a proxy may be in front. Its requests may have no header that shows it."""
    return bool(settings.HTTPS or settings.TRUSTED_PROXIES or settings.PUBLIC_HOSTS)


def list_dangers() -> Iterator[Danger]:
    if settings.DEBUG:
        yield Danger(
            "DEBUG", "shows tracebacks with settings and queries to everybody", "Remove it, or set DEBUG=false."
        )
    if len(set(settings.SECRET_KEY)) < 10 or len(settings.SECRET_KEY) < LEAST_SECRET:
        yield Danger("SECRET_KEY", "is too short to be a secret", write_secret_remedy())
    elif settings.SECRET_KEY.startswith(KNOWN_SECRETS):
        yield Danger("SECRET_KEY", "is known from examples, so anybody could sign a session", write_secret_remedy())
    if "*" in settings.ALLOWED_HOSTS:
        yield Danger(
            "ALLOWED_HOSTS",
            "accepts any host name, so a forged Host header gets into links that others follow",
            "Set your own host names, as in ALLOWED_HOSTS=shop.example.com.",
        )


def find_open_redis() -> Danger | None:
    """A Redis that others may reach without a password. Anybody who can write to it can start tasks and lift limits."""
    if not settings.REDIS_URL:
        return None
    place: dict[str, object] = parse_url(settings.REDIS_URL)  # type: ignore[no-untyped-call]  # redis-py's
    if place.get("password") or str(place.get("host", LOOPBACK[0])).startswith(LOOPBACK):
        return None  # a socket has no host
    remedy = "Set requirepass in redis.conf, and REDIS_URL=redis://:PASSWORD@HOST:PORT/0."
    return Danger("REDIS_URL", "names a Redis on another machine without a password", remedy)


def list_local_defaults() -> Iterator[Danger]:
    """Settings that still have a default for one's own machine, although others use this server."""
    if settings.DEBUG or not (is_exposed() or settings.PUBLIC_HOSTS):
        return
    host = str(urlsplit(settings.PUBLIC_URL).hostname)
    if host.startswith(LOOPBACK) or settings.LOCAL_URL == settings.PUBLIC_URL:
        detail = f"is {settings.PUBLIC_URL}, to which the links in mails and files lead"
        yield Danger(
            "PUBLIC_URL", detail, "Set the address that others use, as in PUBLIC_URL=https://shop.example.com."
        )
    if settings.MAILERS["default"]["BACKEND"].endswith("console.EmailBackend"):
        detail = "is consolemail://: the worker prints mails, with their links to new passwords, and sends none"
        yield Danger("EMAIL_URL", detail, "Set your mail server, as in EMAIL_URL=smtp+tls://USER:PASSWORD@HOST:587.")


def write_secret_remedy() -> str:
    return "Set 50 random characters: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
