"""What the server loads in each worker, after its fork."""

import os
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Request(WSGIRequest):
    """Django's; a Content-Type that can't be read counts as none, which is a 415 where a body is read."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # the stubs don't know it
        except BadRequest:
            # Raised before any middleware, it would be the server's own 500, without a word.
            meta["CONTENT_TYPE"] = self.content_type = ""
            self.content_params = {}


class Handler(WSGIHandler):
    request_class = Request


django.setup(set_prefix=False)

from config.api.freshness.leases import FRESHNESS, RefreshAhead  # noqa: E402 (they need the apps)
from config.api.gates.cache_gate import CacheGate  # noqa: E402 (they need the apps)
from config.api.gates.plan_gate import PlanGate  # noqa: E402
from config.serving.front import Front  # noqa: E402
from config.serving.slots import RequestSlots  # noqa: E402

if settings.DEBUG:
    # Each request reaches Django, where the toolbar looks on.
    application: Any = Front(RequestSlots(Handler(), settings.WEB_THREADS))
else:
    # A hit needs no slot.
    application = Front(CacheGate(RequestSlots(PlanGate(Handler()), settings.WEB_THREADS)))
# Of a server alone: in a test its thread would outlive the database.
FRESHNESS.refresh_ahead = RefreshAhead(FRESHNESS)
