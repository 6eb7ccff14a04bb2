"""Settings in, those that are dangerous where others reach the server out: for its start, `check --deploy` and doctor.

Asked by the launcher too, so it loads no app.
"""

from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings
from redis.connection import parse_url

# As long as what `make run` writes has entropy to spare; signatures of sessions and cursors hang on it.
LEAST_SECRET = 32
# What examples are made of, and what Django writes into a new project.
KNOWN_SECRETS = ("django-insecure-", "changeme", "secret", "only-to-read")
LOOPBACK = ("127.", "localhost", "::1")


class Danger(NamedTuple):
    """`name` is a variable, `detail` what is wrong with it, `remedy` what to do."""

    name: str
    detail: str
    remedy: str


def is_exposed() -> bool:
    """Whether anybody but this machine may reach the server."""
    return settings.HTTPS or not settings.HOST.startswith(LOOPBACK)


def list_dangers() -> Iterator[Danger]:
    if settings.DEBUG:
        yield Danger(
            "DEBUG", "shows tracebacks with settings and queries to everybody", "Leave it out, or DEBUG=false."
        )
    if len(set(settings.SECRET_KEY)) < 10 or len(settings.SECRET_KEY) < LEAST_SECRET:
        yield Danger("SECRET_KEY", "is too short to be a secret", write_secret_remedy())
    elif settings.SECRET_KEY.startswith(KNOWN_SECRETS):
        yield Danger("SECRET_KEY", "is known from examples, so anybody could sign a session", write_secret_remedy())
    if "*" in settings.ALLOWED_HOSTS:
        yield Danger(
            "ALLOWED_HOSTS",
            "takes any name, so a forged Host ends in links that others follow",
            "Name your own, as in ALLOWED_HOSTS=shop.example.com.",
        )


def find_open_redis() -> Danger | None:
    """A Redis that others may reach without a password; whoever writes to it starts tasks and lifts limits."""
    if not settings.REDIS_URL:
        return None
    place: dict[str, object] = parse_url(settings.REDIS_URL)  # type: ignore[no-untyped-call]  # redis-py's
    if place.get("password") or str(place.get("host", LOOPBACK[0])).startswith(LOOPBACK):
        return None  # a socket has no host
    remedy = "Set requirepass in redis.conf, and REDIS_URL=redis://:PASSWORD@HOST:PORT/0."
    return Danger("REDIS_URL", "names a Redis on another machine without a password", remedy)


def write_secret_remedy() -> str:
    return "Set 50 random characters: python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
