"""The addresses of the pictures that this server serves.

They are stored as paths. An answer shows each with the origin by which the client asked.
"""

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

# All addresses of uploaded pictures begin so, and all of the demo catalogue's.
MEDIA, DEMO = "/media/", "/pictures/demo/"
SERVED = (MEDIA, DEMO)
# What the API shows of one: behind the origin there may be a sub-path.
SHOWN = re.compile(
    r"https?://(?P<host>[^/?#@]+)(?:/[^/?#]+)*?"
    r"(?P<path>/media/[0-9a-f]{40}(?:\.(?:jpg|png|webp)|-\d+\.webp)|/pictures/demo/tf-\d{8}-\d\.svg)"
)


def shorten(address: str) -> str:
    """The path of a picture that this server serves under one of its names; any other address as it is."""
    found = SHOWN.fullmatch(address) if any(path in address for path in SERVED) else None
    return found["path"] if found and is_own(found["host"]) else address


def is_own(host: str) -> bool:
    """Whether this server has that name. That it answers to every name (`*`) says nothing of another server's."""
    names = [str(urlsplit(settings.PUBLIC_URL).hostname), *settings.ALLOWED_HOSTS]
    return validate_host(split_domain_port(host)[0], [name for name in names if name != "*"])
