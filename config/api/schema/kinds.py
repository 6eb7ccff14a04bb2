"""A view and a method in, what kind of operation they are out: who may ask, what is sent, what the answer has."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS

from config.api.access.permissions import PublicRead
from config.api.access.scopes import find_scope
from config.api.reads.conditional import list_version_columns
from config.api.reads.pagination import ListPagination
from config.api.viewsets import ShapedViewSet, WriteMixin
from config.api.writes.idempotency import RepeatablePost


class Kind(AutoSchema):
    """What the parts of an operation's description ask."""

    @property
    def shaped(self) -> ShapedViewSet | None:
        return self.view if isinstance(self.view, ShapedViewSet) else None

    def find_model(self) -> Any:
        rows = getattr(self.view, "queryset", None)
        return None if rows is None else rows.model

    def get_auth(self) -> list[dict[str, Any]]:
        schemes: list[dict[str, Any]] = super().get_auth()
        return [{}, *(scheme for scheme in schemes if scheme)] if self.is_public else schemes

    @property
    def scope(self) -> str | None:
        """The scope that a token needs; "" or None if there is none."""
        return find_scope(self.view, self.method) if self.view.get_authenticators() else None

    @property
    def is_public(self) -> bool:
        permissions = self.view.get_permissions()
        open_to_read = any(isinstance(permission, PublicRead) for permission in permissions)
        return (open_to_read and self.method in SAFE_METHODS) or {} in super().get_auth()

    @property
    def is_tagged(self) -> bool:
        """Whether the answer is a read with its own ETag."""
        shaped, action = self.shaped, getattr(self.view, "action", "")
        return shaped is not None and self.method == "GET" and action in (*shaped.planned, *shaped.gated)

    @property
    def shows_row(self) -> bool:
        """Whether the answer is a row, which has an ETag."""
        rows = ("retrieve", "create", "update", "partial_update")
        return self.shaped is not None and getattr(self.view, "action", "") in rows

    @property
    def may_be_unchanged(self) -> bool:
        return self.method == "GET" and (self.is_tagged or self.shows_row)

    @property
    def is_conditional_write(self) -> bool:
        """Whether the operation changes a row that has a version."""
        is_write = isinstance(self.view, WriteMixin) and self.method in self.view.conditional_methods
        return is_write and bool(list_version_columns(self.find_model()))

    @property
    def is_repeatable(self) -> bool:
        view = self.view
        return isinstance(view, RepeatablePost) and view.stores_answers and self.method in view.repeatable

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def is_paged(self) -> bool:
        return self.shaped.is_list if self.shaped else isinstance(self._get_paginator(), ListPagination)
