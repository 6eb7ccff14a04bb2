"""`/mcp` in this process, and what an agent says to it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import clear_url_caches, path

from accounts.models import User
from accounts.tokens import sign_in
from config.mcp.views import serve_mcp
from config.urls import urlpatterns as real_patterns

urlpatterns = [path("mcp", serve_mcp, name="mcp"), *real_patterns]

type Say = Callable[..., Any]
HEADERS = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def post(settings: Any) -> Say:
    """Posts a message, and returns the response. `token` is that of a caller."""
    settings.ROOT_URLCONF = __name__
    clear_url_caches()
    plain = Client()

    def post(method: str, params: Any = None, token: str = "", **headers: str) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method} | ({"params": params} if params is not None else {})
        given = HEADERS | ({"Authorization": f"Bearer {token}"} if token else {}) | headers
        return plain.post("/mcp", json.dumps(message), content_type="application/json", headers=given)

    return post


@pytest.fixture
def use(post: Say) -> Say:
    """Uses a tool. Returns whether it failed, and its result."""

    def use(name: str, token: str = "", **arguments: Any) -> tuple[bool, Any]:
        result = post("tools/call", {"name": name, "arguments": arguments}, token).json()["result"]
        [content] = result["content"]
        return result["isError"], json.loads(content["text"])

    return use


@pytest.fixture
def token(db: None) -> str:
    """Of a customer."""
    secret: str = sign_in(User.objects.create_user("ann@example.com", "password"), "agent")[1]
    return secret
