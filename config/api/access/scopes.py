"""What of the API a token may use, and from where: a token and a view in, an error out where they don't match.

A token may do what its user may, or less. A view names its Scope in `scope`; a token without scopes has them all. A
view that names none takes only such a token.
"""

import ipaddress
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from config.api.access.throttling import Environ, find_client
from config.api.problems.errors import ApiError


class Scope(NamedTuple):
    """The names of what a view takes: `read` for GET, HEAD and OPTIONS, `write` for the other methods."""

    read: str
    write: str

    def find_needed(self, method: str) -> str:
        return self.read if method in ("GET", "HEAD", "OPTIONS") else self.write


ACCOUNTS = Scope("accounts", "accounts")
CATALOGUE = Scope("catalogue:read", "catalogue:write")
CHANGES = Scope("changes:read", "changes:read")
EXPORTS = Scope("exports", "exports")
IMPORTS = Scope("imports", "imports")
ORDERS = Scope("orders:read", "orders:write")
# For a view that every token may use, such as the API's root.
ANY = Scope("", "")

ALL = (CATALOGUE, ORDERS, ACCOUNTS, EXPORTS, IMPORTS, CHANGES)
SCOPES = tuple(dict.fromkeys(name for scope in ALL for name in scope))


class Limited(Protocol):
    """A token: without `scopes` it has all of them, without `allowed_ips` (networks) it comes from anywhere."""

    scopes: Sequence[str]
    allowed_ips: Sequence[str]


class InsufficientScope(ApiError):
    """The token hasn't got the scope that the operation takes; its user may well have the permission."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "insufficient_scope"

    def __init__(self, needed: str | None) -> None:
        what = "a token without scopes" if needed is None else f"the scope {needed}"
        hint = "Sign in, or make a token that has it: POST auth/tokens/."
        super().__init__(f"This token may not do that. It takes {what}.", hint)


class AddressNotAllowed(ApiError):
    """The token comes from an address outside of the networks that it was made for."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "address_not_allowed"

    def __init__(self, address: str) -> None:
        hint = "Use it from one of its networks (allowed_ips), or make a token for this one: POST auth/tokens/."
        super().__init__(f"This token may not be used from {address}.", hint)


def find_scope(view: Any, method: str) -> str | None:
    """The scope that `method` of a view takes: "" where any token will do, None where the view names none."""
    scope: Scope | None = getattr(view, "scope", None)
    return scope.find_needed(method) if scope else None


def check_token(token: Limited, environ: Environ, view: Any, method: str) -> None:
    """Raise an error if the token may not use `view` from where it comes."""
    if token.allowed_ips and not is_within(find_client(environ), token.allowed_ips):
        raise AddressNotAllowed(find_client(environ))
    needed = find_scope(view, method)
    if token.scopes and needed != "" and needed not in token.scopes:
        raise InsufficientScope(needed)


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether a client's address is in one of the networks; text that is no address is in none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket for both kinds of addresses writes those of IPv4 as `::ffff:192.0.2.1`.
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in ipaddress.ip_network(network) for network in networks)
