"""Who may call a view, by Django's model permissions; anybody may read a view that says so."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import DjangoModelPermissions, IsAuthenticated
from rest_framework.request import Request


def write_refusal(*rights: str, sign: str = "and") -> str:
    """DRF's sentence, and the missing permissions, so that the reader can ask for them."""
    return f"{PermissionDenied.default_detail} It takes {f' {sign} '.join(rights)}."


class NamedPermissions(DjangoModelPermissions):
    """DRF's permissions; an error names the permission that is missing."""

    message: str

    def has_permission(self, request: Request, view: Any) -> bool:
        is_allowed = bool(super().has_permission(request, view))
        if not is_allowed:
            model = self._queryset(view).model
            self.message = write_refusal(*self.get_required_permissions(str(request.method), model))
        return is_allowed


class ModelPermissions(NamedPermissions):
    """Default deny: signed in, and with the model permission that the method needs (`view` for GET).

    `is_staff` decides nothing here: it only opens the admin.
    """

    perms_map = DjangoModelPermissions.perms_map | {
        method: ["%(app_label)s.view_%(model_name)s"] for method in ("GET", "HEAD")
    }

    def _queryset(self, view: Any) -> Any:
        # DRF calls get_queryset(), which may raise a 404 for a parent row before the 403.
        return view.queryset


class OwnRows(ModelPermissions):
    """A signed-in caller may read and add their own rows, to which the queryset is limited.

    Other methods need the model permission.
    """

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [] if method in ("GET", "HEAD", "POST") else super().get_required_permissions(method, model_cls)


class HasRight(IsAuthenticated):
    """Signed in, and with the permission that the view names in `right`, for every method."""

    message: str

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        is_allowed = request.method == "OPTIONS" or request.user.has_perm(view.right)
        if not is_allowed:
            self.message = write_refusal(view.right)
        return is_allowed


class PublicRead(NamedPermissions):
    """Anybody may read (the queryset limits the rows); writes need the model permission."""

    # Callers who see the same rows may get the same cached answer.
    is_public = True

    def has_permission(self, request: Request, view: Any) -> bool:
        # A method that the view doesn't have is a 405 for everybody.
        is_missing = getattr(view, "action", "") is None
        return is_missing or request.method in ("GET", "HEAD", "OPTIONS") or super().has_permission(request, view)


class AnyWrite(NamedPermissions):
    """Signed in, and with the permission to add or to change; the view checks which one, once it has read the body."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not hasattr(view, str(request.method).lower()):
            return True  # a 405 for everybody
        names = self._queryset(view).model._meta
        rights = [f"{names.app_label}.{action}_{names.model_name}" for action in ("add", "change")]
        is_allowed = request.method == "OPTIONS" or any(request.user.has_perm(right) for right in rights)
        if not is_allowed:
            self.message = write_refusal(*rights, sign="or")
        return is_allowed


def require_rights(request: Request, *rights: str) -> None:
    if not request.user.has_perms(rights):
        raise PermissionDenied(write_refusal(*rights))
