"""Forms of the admin with files, which are long. Who may not send one is sent away before a byte of it is read."""

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, reverse

# By the end of their URLs' names, the pages that take a form, and the permissions of which one is enough. The page of a
# row also makes a new one of it.
FORMS = {"_add": ("has_add_permission",), "_change": ("has_change_permission", "has_add_permission")}


def find_file_form(match: ResolverMatch | None) -> Any:
    """The ModelAdmin whose form, with files, this page takes; None for other pages. Its `most_bytes` bounds a form."""
    page = getattr(match.func, "model_admin", None) if match else None
    return page if hasattr(page, "most_bytes") and find_permissions(match) else None


def find_permissions(match: ResolverMatch | None) -> tuple[str, ...]:
    name = (match and match.url_name) or ""
    return next((permissions for end, permissions in FORMS.items() if name.endswith(end)), ())


def refuse_file_form(request: HttpRequest) -> HttpResponseBase | None:
    """The way to the login for those who aren't signed in. Raises PermissionDenied for those who may not send it."""
    page = find_file_form(request.resolver_match)
    if page is None:
        return None
    if not page.admin_site.has_permission(request):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    if not any(getattr(page, name)(request) for name in find_permissions(request.resolver_match)):
        raise PermissionDenied
    return None
