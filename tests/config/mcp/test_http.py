"""`/mcp` takes one message a POST, of programs, with the credentials in Authorization and no others."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from config.mcp import views
from config.operation.checks import check_agents
from config.serving.slots import is_search
from config.urls import urlpatterns
from tests.config.mcp.conftest import Say

pytestmark = pytest.mark.django_db

CLIENT = {"name": "agent", "version": "1"}
SEARCH = {"name": "search_products", "arguments": {}}


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_each_version_of_the_protocol_may_begin_with_a_handshake_or_without(post: Say, version: str) -> None:
    hello = post("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}).json()
    assert hello["result"]["protocolVersion"] == version
    assert hello["result"]["capabilities"]["tools"] == {"listChanged": False}
    answer = post("tools/call", SEARCH, **{"Mcp-Protocol-Version": version})
    assert answer.json()["result"]["isError"] is False
    assert "Mcp-Session-Id" not in answer
    assert answer["Cache-Control"] == "no-store"


def test_a_notification_gets_no_answer(post: Say) -> None:
    assert post("tools/nothing").json()["error"]["code"] == -32601
    message = '{"jsonrpc": "2.0", "method": "notifications/initialized"}'
    given = Client().post("/mcp", message, content_type="application/json", headers={"Accept": "application/json"})
    assert (given.status_code, given.content) == (202, b"")


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize("body", ["nonsense", "[]", "{}", '{"jsonrpc": "2.0", "id": {}, "method": 7}', '"\ud800"'])
def test_what_is_no_message_is_an_error_of_the_protocol(post: Say, body: str) -> None:
    data = body.encode("utf-8", "surrogatepass")
    given = Client().generic("POST", "/mcp", data, "application/json", headers={"Accept": "application/json"})
    assert given.status_code == 400
    assert given.json()["error"]["code"] < 0


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize("method", ["get", "delete", "put"])
def test_there_is_nothing_to_get_or_delete(post: Say, method: str) -> None:
    given = getattr(Client(), method)("/mcp")
    assert (given.status_code, given["Allow"]) == (405, "POST")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver:81", "https://testserver"])
def test_pages_of_other_sites_are_refused(post: Say, settings: Any, origin: str) -> None:
    settings.CORS, settings.CORS_ALLOWED_ORIGINS = True, ["https://shop.example"]
    answer = post("tools/list", Origin=origin)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert "Access-Control-Allow-Origin" not in post("tools/list")
    assert post("tools/list", Origin="http://testserver").status_code == 200


def test_a_name_that_leads_here_is_refused(post: Say) -> None:
    assert post("tools/list", Host="rebound.example").status_code == 400


def test_a_session_is_nobody_here(post: Say, settings: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("root@example.com", "password"))
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    order = {"lines": [{"sku": "A", "quantity": 1}], "order_key": "abcdefgh"}
    body = message | {"params": {"name": "place_order", "arguments": order}}
    answer = browser.post("/mcp", body, content_type="application/json", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert "not_authenticated" in str(answer.json())


def test_a_wrong_token_is_a_401(post: Say) -> None:
    answer = post("tools/list", token="0" * 64)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")


def test_messages_count_in_their_caller_s_rate(post: Say, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "3/minute"
    # A message, then a message and the list that it asks for.
    assert [post("tools/list").status_code, post("tools/call", SEARCH).status_code] == [200, 200]
    answer = post("tools/list")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0


def test_both_lines_of_the_log_have_one_id(post: Say, request_lines: list[Any]) -> None:
    answer = post("tools/call", SEARCH, **{"X-Request-ID": "agent-7"})
    assert answer["X-Request-ID"] == "agent-7"
    assert [(line.route, line.request_id) for line in request_lines] == [
        ("api/v1/products/$", "agent-7"),
        ("mcp", "agent-7"),
    ]


def test_agents_get_half_of_the_slots() -> None:
    assert is_search({"PATH_INFO": "/mcp", "QUERY_STRING": ""})


def test_it_is_only_there_if_it_is_asked_for() -> None:
    assert "mcp" not in [str(pattern.pattern) for pattern in urlpatterns]


def test_without_the_extra_it_says_so(post: Say, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    def miss(name: str) -> Any:
        raise ModuleNotFoundError(name="mcp")

    monkeypatch.setattr(views, "import_module", miss)
    answer = post("tools/list")
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_extra")
    assert "pip install mcp" in answer.json()["hint"]
    settings.MCP = True
    assert check_agents() == []
    monkeypatch.setattr("config.operation.checks.find_spec", lambda name: None)
    assert [found.id for found in check_agents()] == ["tenfold.W006"]
