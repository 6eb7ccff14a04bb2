"""Finds the class of a token's caller. All callers of a class get the same answers from the cache.

A token is looked up in the database once per lease (CACHE_LEASE_MS).
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from config.api.access.scopes import check_token
from config.api.freshness.leases import FRESHNESS
from config.api.gates.request import Action, Environ
from config.api.viewsets import ShapedViewSet
from config.process.bounded import BoundedMap

# How many tokens are remembered. If more are in use, they are looked up more often.
GREATEST_NUMBER = 4096


@dataclass
class Known:
    """A token and its user: valid until `until` (monotonic seconds), or until this process commits a write.

    `endings` is FRESHNESS.endings before the look-up.
    """

    token: Any
    user: Any
    until: float
    endings: int
    audiences: dict[type[ShapedViewSet], Hashable | None] = field(default_factory=dict)

    @property
    def is_current(self) -> bool:
        return time.monotonic() < self.until and self.endings == FRESHNESS.endings

    def find_audience(self, view: type[ShapedViewSet]) -> Hashable | None:
        if view not in self.audiences:
            with FRESHNESS.lend():
                self.audiences[view] = view.find_audience(self.user)
        return self.audiences[view]


class Callers:
    """The users of tokens, by the tokens' digests; every thread may use it."""

    def __init__(self) -> None:
        self.known: BoundedMap[bytes, Known] = BoundedMap(GREATEST_NUMBER)

    def name_class(self, environ: Environ, action: Action) -> str | None:
        """The caller's class, for the cache key. None if the answers are for this caller only, or if Django must answer
        with an error.

        All tokens of a class may read the view. A token without the view's scope, or used from a network that it
        doesn't allow, has no class.
        """
        if not all(getattr(permission, "is_public", False) for permission in action.view.permission_classes):
            return None  # this permission differs from caller to caller
        try:
            known = self.find(environ, action.view)
            if known:
                # Checked each time: the next request with this token may come from another address.
                check_token(known.token, environ, action.view, environ["REQUEST_METHOD"])
            audience = known and known.find_audience(action.view)
        except (APIException, DatabaseError):
            return None
        return None if audience is None else f"token:{audience!r}"

    def find(self, environ: Environ, view: type[ShapedViewSet]) -> Known | None:
        digest = blake2b(environ["HTTP_AUTHORIZATION"].encode("latin-1", "replace")).digest()
        known = self.known.get(digest)
        if known is None or not known.is_current:
            known = self.look_up(environ, view)
            if known:
                self.known.keep(digest, known)
        return known

    def look_up(self, environ: Environ, view: type[ShapedViewSet]) -> Known | None:
        began, endings = time.monotonic(), FRESHNESS.endings
        kinds = [kind for kind in view.authentication_classes if not issubclass(kind, SessionAuthentication)]
        request = Request(WSGIRequest({**environ, "PATH_INFO": "/"}), authenticators=[kind() for kind in kinds])
        with FRESHNESS.lend():
            token, user = request.auth, request.user
        return Known(token, user, began + settings.CACHE_LEASE_MS / 1000, endings) if token else None
