"""Who may call a view: Django's model permissions; reading is open where the view says so."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import DjangoModelPermissions, IsAuthenticated
from rest_framework.request import Request


def write_refusal(*rights: str, sign: str = "and") -> str:
    """DRF's sentence, and what is missing, so that its reader can ask for it."""
    return f"{PermissionDenied.default_detail} It takes {f' {sign} '.join(rights)}."


class NamedPermissions(DjangoModelPermissions):
    """DRF's; a refusal names the permission."""

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
        # DRF's asks get_queryset(), whose 404 for a row above would come before the 403.
        return view.queryset


class OwnRows(ModelPermissions):
    """Whoever is signed in reads and adds rows of their own, which the queryset sees to; the rest needs the right."""

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [] if method in ("GET", "HEAD", "POST") else super().get_required_permissions(method, model_cls)


class HasRight(IsAuthenticated):
    """Signed in, and with the permission that the view calls its `right`, by whatever method."""

    message: str

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        is_allowed = request.method == "OPTIONS" or request.user.has_perm(view.right)
        if not is_allowed:
            self.message = write_refusal(view.right)
        return is_allowed


class PublicRead(NamedPermissions):
    """Anybody reads (the queryset says which rows); writes need the model permission."""

    # So that callers who see the same rows may be answered alike.
    is_public = True

    def has_permission(self, request: Request, view: Any) -> bool:
        # A method that the view hasn't got is a 405 for everybody, whoever asks.
        is_missing = getattr(view, "action", "") is None
        return is_missing or request.method in ("GET", "HEAD", "OPTIONS") or super().has_permission(request, view)


class AnyWrite(NamedPermissions):
    """Signed in, and with a right to add or to change; which of them, the view says once it has read the body."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not hasattr(view, str(request.method).lower()):
            return True  # a 405 for everybody, whoever asks
        names = self._queryset(view).model._meta
        rights = [f"{names.app_label}.{action}_{names.model_name}" for action in ("add", "change")]
        is_allowed = request.method == "OPTIONS" or any(request.user.has_perm(right) for right in rights)
        if not is_allowed:
            self.message = write_refusal(*rights, sign="or")
        return is_allowed


def require_rights(request: Request, *rights: str) -> None:
    if not request.user.has_perms(rights):
        raise PermissionDenied(write_refusal(*rights))
