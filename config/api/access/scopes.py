"""The scopes and networks of tokens: a token and a view in, an error out if the token may not use the view.

A token may do what its user may, or less. A view has its Scope in `scope`. A token without scopes has all of them. A
view without a scope accepts only tokens without scopes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Protocol

from config.api.access.throttling import Environ, find_client
from config.api.problems.errors import ApiError

if TYPE_CHECKING:
    # Importing APIView imports accounts, by the settings, and accounts imports this module.
    from rest_framework.views import APIView


class Scope(NamedTuple):
    """The scopes that a view needs: `read` for GET, HEAD and OPTIONS, `write` for the other methods."""

    read: str
    write: str

    def find_needed(self, method: str) -> str:
        return self.read if method in ("GET", "HEAD", "OPTIONS") else self.write


ACCOUNTS = Scope("accounts", "accounts")
CATALOGUE = Scope("catalogue:read", "catalogue:write")
CHANGES = Scope("changes:read", "changes:read")
EXPORTS = Scope("exports", "exports")
FEEDS = Scope("feeds", "feeds")
IMPORTS = Scope("imports", "imports")
ORDERS = Scope("orders:read", "orders:write")
UNDO = Scope("undo", "undo")
WEBHOOKS = Scope("webhooks", "webhooks")
# For a view that every token may use, such as the API's root.
ANY = Scope("", "")

ALL = (CATALOGUE, ORDERS, ACCOUNTS, EXPORTS, IMPORTS, CHANGES, UNDO, WEBHOOKS, FEEDS)
SCOPES = tuple(dict.fromkeys(name for scope in ALL for name in scope))


class Limited(Protocol):
    """A token. Without `scopes` it has all of them; without `allowed_ips` (networks) it works from anywhere."""

    scopes: Sequence[str]
    allowed_ips: Sequence[str]


class InsufficientScope(ApiError):
    """The token doesn't have the scope that the operation needs, even if its user has the permission."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "insufficient_scope"

    def __init__(self, needed: str | None) -> None:
        what = "a token without scopes" if needed is None else f"the scope {needed}"
        hint = "Sign in, or create a token that has it: POST auth/tokens/."
        super().__init__(f"This token may not do that. It needs {what}.", hint)


class AddressNotAllowed(ApiError):
    """The token was used from an address outside its networks."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "address_not_allowed"

    def __init__(self, address: str) -> None:
        hint = "Use it from one of its networks (allowed_ips), or create a token for this one: POST auth/tokens/."
        super().__init__(f"This token can't be used from {address}.", hint)


def find_scope(view: APIView | type[APIView], method: str) -> str | None:
    """The scope that a view's method needs: "" if any token will do, None if the view has no scope."""
    scope: Scope | None = getattr(view, "scope", None)
    return scope.find_needed(method) if scope else None


def check_token(token: Limited, environ: Environ, view: APIView | type[APIView], method: str) -> None:
    """Raise AddressNotAllowed or InsufficientScope if the token may not use `view` from the request's address."""
    if token.allowed_ips and not is_within(find_client(environ), token.allowed_ips):
        raise AddressNotAllowed(find_client(environ))
    needed = find_scope(view, method)
    if token.scopes and needed != "" and needed not in token.scopes:
        raise InsufficientScope(needed)


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether a client's address is in one of the networks. False for a text that isn't an address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket for IPv4 and IPv6 writes IPv4 addresses as `::ffff:192.0.2.1`.
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in ipaddress.ip_network(network) for network in networks)
