"""The WSGI application, which each web worker loads after its fork."""

import os
from contextlib import suppress
from importlib import import_module
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Request(WSGIRequest):
    """Django's request. Of a malformed Content-Type, or one with another charset than UTF-8, only the charset is left.

    That gives a 415, which names it, if the view reads a body.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        # Not by Django's own method: it decodes the query string by the charset at once. This comes before all
        # middleware, so whatever is wrong with the query string would be an empty 500 of the server.
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_params = {"charset": "unreadable"}
        charset = self.content_params.get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            meta["CONTENT_TYPE"] = self.content_type = f"charset={charset[:20]}"
            self.content_params = {}


class Handler(WSGIHandler):
    request_class = Request


# Django sets logging up once more at each call: the lines would wait in a new queue that nobody reads.
if not apps.ready:
    django.setup(set_prefix=False)

from config.api.freshness.leases import FRESHNESS, RefreshAhead  # noqa: E402 (they need the apps)
from config.api.gates.cache_gate import CacheGate  # noqa: E402 (they need the apps)
from config.api.gates.cross_origin import CrossOrigin  # noqa: E402
from config.api.gates.plan_gate import PlanGate  # noqa: E402
from config.serving.front import Front  # noqa: E402
from config.serving.slots import RequestSlots  # noqa: E402
from config.serving.sub_path import SubPath  # noqa: E402

if settings.MCP:
    # The protocol's package takes a second to load, which no message should wait for. /mcp says if it isn't there.
    with suppress(ModuleNotFoundError):
        import_module("config.mcp.bridge")
# With DEBUG each request reaches Django, so that the toolbar sees it.
application: Any = RequestSlots(Handler() if settings.DEBUG else PlanGate(Handler()), settings.WEB_THREADS)
if settings.CORS:
    application = CrossOrigin(application)
# A hit needs no slot.
application = Front(application if settings.DEBUG else CacheGate(application))
if settings.HAS_SUB_PATHS:
    application = SubPath(application)
if settings.TRACES:
    # Loaded by name, since it needs the extra `otel`.
    application = import_string("config.serving.traced.Traced")(application)
# Only in a server: in a test the thread would outlive the database.
FRESHNESS.refresh_ahead = RefreshAhead(FRESHNESS)
