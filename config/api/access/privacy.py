"""Mixins for views with personal answers: no cache stores them, and answers with a secret aren't compressed."""

from collections.abc import Hashable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.api.access.permissions import Caller


class PrivateMixin(APIView):
    """For a view of personal data: no cache stores its answers, and no gate answers its requests."""

    gated: tuple[str, ...] = ()

    @classmethod
    def find_audience(cls, caller: Caller) -> Hashable | None:
        # None: the plan isn't cached, since it would hold the caller.
        return None

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "private, no-store"
        return response


class SecretMixin(PrivateMixin):
    """For a view that answers with a secret.

    If an attacker can choose text in the same answer, its compressed length reveals the secret, letter by letter
    (BREACH). So Accept-Encoding is removed before GZipMiddleware reads it.
    """

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        request._request.META.pop("HTTP_ACCEPT_ENCODING", None)
        return super().finalize_response(request, response, *args, **kwargs)
