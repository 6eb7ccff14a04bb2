"""Permission classes for views, based on Django's model permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import DjangoModelPermissions, IsAuthenticated
from rest_framework.request import Request

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, PermissionsMixin

    # APIView itself imports this module, by the settings.
    from rest_framework.views import APIView

# Whose request it is: a user, or AnonymousUser if nobody has signed in.
type Caller = PermissionsMixin | AnonymousUser


def write_refusal(*rights: str, sign: str = "and") -> str:
    """DRF's sentence and the missing permissions, so that the user can ask for them."""
    return f"{PermissionDenied.default_detail} It needs {f' {sign} '.join(rights)}."


class NamedPermissions(DjangoModelPermissions):
    """DRF's permissions, but the error names the missing permission."""

    message: str

    def has_permission(self, request: Request, view: APIView) -> bool:
        is_allowed = bool(super().has_permission(request, view))
        if not is_allowed:
            model = self._queryset(view).model
            self.message = write_refusal(*self.get_required_permissions(str(request.method), model))
        return is_allowed


class ModelPermissions(NamedPermissions):
    """The default: signed in, and with the model permission that the method needs (`view` for GET).

    `is_staff` has no effect here: it only opens the admin.
    """

    perms_map = DjangoModelPermissions.perms_map | {
        method: ["%(app_label)s.view_%(model_name)s"] for method in ("GET", "HEAD")
    }

    def _queryset(self, view: Any) -> Any:
        # DRF would call get_queryset(), which may raise 404 for a parent row before the 403.
        return view.queryset


class OwnRows(ModelPermissions):
    """Any signed-in caller may GET and POST: the view's queryset has only their own rows. Other methods need the model
    permission.
    """

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [] if method in ("GET", "HEAD", "POST") else super().get_required_permissions(method, model_cls)


class HasRight(IsAuthenticated):
    """Signed in, and with the permission in the view's `right`, for all methods."""

    message: str

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        is_allowed = request.method == "OPTIONS" or request.user.has_perm(view.right)
        if not is_allowed:
            self.message = write_refusal(view.right)
        return is_allowed


class PublicRead(NamedPermissions):
    """Anybody may read (the queryset limits the rows). Writes need the model permission."""

    # The cache may give the same answer to all callers who see the same rows.
    is_public = True

    def has_permission(self, request: Request, view: APIView) -> bool:
        # A method that the view doesn't have gives 405 to everybody.
        is_missing = getattr(view, "action", "") is None
        return is_missing or request.method in ("GET", "HEAD", "OPTIONS") or super().has_permission(request, view)


class AnyWrite(NamedPermissions):
    """Signed in, and with the permission to add, change or delete. The view checks which when it has read the body."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not hasattr(view, str(request.method).lower()):
            return True  # it gives 405 to everybody
        names = self._queryset(view).model._meta
        rights = [f"{names.app_label}.{action}_{names.model_name}" for action in ("add", "change", "delete")]
        is_allowed = request.method == "OPTIONS" or any(request.user.has_perm(right) for right in rights)
        if not is_allowed:
            self.message = write_refusal(*rights, sign="or")
        return is_allowed


def require_rights(request: Request, *rights: str) -> None:
    """Raise PermissionDenied unless the caller has all these permissions."""
    if not request.user.has_perms(rights):
        raise PermissionDenied(write_refusal(*rights))
