"""Answers that are one person's: nobody keeps them, and what holds a secret isn't compressed either."""

from collections.abc import Hashable
from typing import Any

from rest_framework.request import Request


class PrivateMixin:
    """For a view of what is personal; no cache keeps it, and nothing answers for it before Django."""

    gated: tuple[str, ...] = ()

    @classmethod
    def find_audience(cls, caller: Any) -> Hashable | None:
        # A plan that is kept would hold whose rows they are.
        return None

    def finalize_response(self: Any, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]  # a mixin
        response["Cache-Control"] = "private, no-store"
        return response


class SecretMixin(PrivateMixin):
    """For a view that answers with a secret.

    Beside text that a caller chose, the length of a compressed secret tells it letter by letter (BREACH), so the
    wish for compression is taken away before GZipMiddleware reads it.
    """

    def finalize_response(self: Any, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        request._request.META.pop("HTTP_ACCEPT_ENCODING", None)
        return super().finalize_response(request, response, *args, **kwargs)
