"""Who a browser's session is, before its body is parsed."""

from typing import Any

from rest_framework import authentication
from rest_framework.request import Request, is_form_media_type


class SessionAuthentication(authentication.SessionAuthentication):
    """DRF's, but a body that isn't a form isn't parsed for a CSRF token, which only the header can have.

    With malformed JSON DRF's class fails, and the page that says so takes the user for a stranger.
    """

    def enforce_csrf(self, request: Request) -> None:
        plain: Any = request if is_form_media_type(request.content_type) else request._request
        super().enforce_csrf(plain)
