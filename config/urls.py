"""All routes: the API under /api/v1/, pages for people, and probes."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from accounts.pages import show_confirmation, show_reset
from catalog.home import show_home
from catalog.media.urls import media
from config.api.schema.documents import Document, RedocPage, SwaggerPage
from config.api.schema.root import Root
from config.mcp.views import serve_mcp
from config.operation.health import show_alive, show_ready
from config.operation.scrape import show_metrics

api: list[URLPattern | URLResolver] = [
    path("", Root.as_view(), name="root"),
    path("", include("catalog.urls")),
    path("", include("accounts.urls")),
    path("exports/", include("exports.urls")),
    path("feeds/", include("exports.feeds.urls")),
    path("", include("config.api.webhooks.urls")),
    path("auth/session/", include("rest_framework.urls")),
    path("schema/", Document.as_view(), name="schema"),
    path("docs/", SwaggerPage.as_view(), name="docs"),
    path("redoc/", RedocPage.as_view(), name="redoc"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(api)),
    path("", show_home, name="home"),
    path("admin/", admin.site.urls),
    path("pictures/", include("catalog.media.urls")),
    path("media/", include(media)),
    path("password/reset/", show_reset, name="password-reset"),
    path("register/confirm/", show_confirmation, name="register-confirm"),
    path("livez", show_alive),
    path("readyz", show_ready, name="readyz"),
    path("metrics", show_metrics),
]

if settings.MCP:
    urlpatterns.append(path("mcp", serve_mcp, name="mcp"))

if settings.DEBUG:
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()

handler400 = "config.api.problems.error_handler.answer_bad_request"
handler403 = "config.api.problems.error_handler.answer_forbidden"
handler404 = "config.api.problems.error_handler.answer_not_found"
handler500 = "config.api.problems.error_handler.answer_server_error"
