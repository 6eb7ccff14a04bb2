"""The admin's site: who may open which page, the way in, and the sidebar."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.csp import CSP
from django.utils.text import capfirst
from django.views.decorators.csp import csp_override
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from config.api.admin.filters import NamedSuggestions
from config.api.admin.lists import NO_ICON
from config.api.admin.palette import find_rows
from config.api.admin.saved import change_views
from config.api.database.authorship import name_actor

# unfold uses Alpine, which evaluates attributes of the page and needs both. A nonce would disable 'unsafe-inline'.
ADMIN_CSP: dict[str, Any] = settings.SECURE_CSP | {"script-src": [CSP.SELF, CSP.UNSAFE_INLINE, CSP.UNSAFE_EVAL]}

type View = Callable[..., Any]


class LoginForm(AuthenticationForm):
    """unfold's form, but errors without a field are shown below the password: unfold would show them twice."""

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field or "password", error)


class Site(UnfoldAdminSite):
    """The admin at `/admin/`. It has its own content security policy; all other pages have the strict one."""

    index_title = "Overview"
    login_form = LoginForm

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return csp_override(ADMIN_CSP)(super().admin_view(sign_view(view), cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Without `next`, Django would redirect to LOGIN_REDIRECT_URL, which is the browsable API.
        query = request.GET.copy()
        query.setdefault(REDIRECT_FIELD_NAME, reverse("admin:index"))
        request.GET = query  # type: ignore[assignment]  # the stubs have it immutable, its readers don't mind
        # This page isn't wrapped by admin_view, so it gets the policy here.
        response: HttpResponse = csp_override(ADMIN_CSP)(super().login)(request, extra_context)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        # In the order in which the apps registered their tables. Django sorts by name.
        order = list(dict.fromkeys(model._meta.app_label for model in self._registry))
        return sorted(apps, key=lambda app: order.index(app["app_label"]))

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [path("views/", self.admin_view(change_views), name="views"), *super().get_urls()]

    def autocomplete_view(self, request: HttpRequest) -> JsonResponse:
        response: JsonResponse = NamedSuggestions.as_view(admin_site=self)(request)  # type: ignore[assignment]  # its own
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The search palette (Ctrl+K) over products, orders and other rows, and over the names of the tables.

        unfold's own method caches its results as pickles. Our cache accepts bytes only, since unpickling can run code.
        """
        began = time.perf_counter()
        term = request.GET.get("s", "").strip()
        found = self._search_apps(self.get_app_list(request), term.lower()) if term else []
        found = [*find_rows(self, request, term), *found]
        pages = Paginator(found, 100)
        context = {"results": pages.page(1), "page_obj": pages, "page_counter": 0, "search_term": term}
        context["execution_time"] = time.perf_counter() - began
        template = "unfold/helpers/command_results.html"
        return TemplateResponse(request, template, context, headers={"HX-Trigger": "search"})


def sign_view(view: View) -> View:
    """A view whose writes have the signed-in user as their author in the change log."""

    @wraps(view)
    def signed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        name_actor(request.user)
        response: HttpResponse = view(request, *args, **kwargs)
        return response

    return signed


def list_sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar (UNFOLD's SIDEBAR): the tables that the user may see, and links to other pages."""
    ways = (("Start page", "home", "home"), ("API", "root", "api"), ("API documents", "docs", "menu_book"))
    apps = [
        {"title": app["name"], "separator": True, "items": [link_table(table) for table in app["models"]]}
        for app in admin.site.get_app_list(request)
    ]
    # unfold marks a link as active if the path contains it; that of the start page would always be.
    elsewhere = [{"title": title, "link": reverse(name), "icon": icon, "active": False} for title, name, icon in ways]
    return [*apps, {"title": "Elsewhere", "separator": True, "items": elsewhere}]


def find_home(request: HttpRequest) -> str:
    """The address of the start page (UNFOLD's SITE_URL)."""
    return reverse("home")


def find_icon(request: HttpRequest) -> str:
    """The address of the icon (UNFOLD's SITE_FAVICONS)."""
    return static("tenfold/icon.svg")


def find_script(request: HttpRequest) -> str:
    """The address of our script (UNFOLD's SCRIPTS)."""
    return static("tenfold/admin.js")


def find_style(request: HttpRequest) -> str:
    """The address of our styles (UNFOLD's STYLES)."""
    return static("tenfold/admin.css")


def link_table(table: dict[str, Any]) -> dict[str, Any]:
    page = admin.site.get_model_admin(table["model"])
    return {"title": capfirst(table["name"]), "link": table["admin_url"], "icon": getattr(page, "icon", NO_ICON)}
