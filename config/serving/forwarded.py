"""Environ in, environ out: the client as the trusted proxies name it in `Forwarded` (RFC 7239).

The server writes `X-Forwarded-For` and `X_Forwarded_For` to the same place, and one of them wins. Behind a proxy that
passes names with an underscore, a client could send the second. `Forwarded` has no dash, so no other name is like it.
"""

from typing import Any

type Environ = dict[str, Any]

# The members of an element, and the names that the rest of Tenfold and Django read.
NAMES = {"for": "HTTP_X_FORWARDED_FOR", "proto": "HTTP_X_FORWARDED_PROTO"}


def use_forwarded(environ: Environ, proxies: int) -> None:
    """Put the last `proxies` elements of `Forwarded` in the place of the X-Forwarded headers, whoever sent those."""
    for name in NAMES.values():
        environ.pop(name, None)
    # From the end, without a look at quotes: each proxy appends one element, and a client may leave a quote open.
    elements = environ.get("HTTP_FORWARDED", "").split(",")[-proxies:]
    if len(elements) == proxies:
        trusted = [read_element(element) for element in elements]
        environ[NAMES["for"]] = ",".join(element.get("for", "") for element in trusted)
        environ[NAMES["proto"]] = trusted[0].get("proto", "")


def read_element(text: str) -> dict[str, str]:
    """`for="[2001:db8::1]:4711";proto=https` as a dictionary."""
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
