"""Every refusal is a problem document (RFC 9457) that names what is wrong and the way out."""

import json
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import ProgrammingError
from django.test import Client, RequestFactory
from rest_framework.exceptions import NotFound
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Product
from config.api.problems.error_handler import find_api_error, respond_to
from config.api.problems.errors import Unavailable
from config.wsgi import application
from tests.factories import make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert list(problem) == ["type", "title", "status", "code", "detail", "hint", "request_id", "errors"]
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["request_id"] == answer["X-Request-ID"]
    return problem


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize(
    ("query", "code", "names"),
    [
        ("prise=5", "unknown_parameter", "Did you mean price_max or price_min?"),
        ("updated_after=2026-01-01", "unknown_parameter", "Did you mean updated_since?"),
        ("min_price=5", "unknown_parameter", "Did you mean price_min?"),
        ("brand=%20", "invalid_parameter", "nothing but blanks"),
        ("search=%20%09", "invalid_parameter", "nothing but blanks"),
        ("price_min=1_000", "invalid_parameter", "is not a number"),
        ("price_min=%D9%A3", "invalid_parameter", "is not a number"),
        ("ordering=price&ordering=title", "invalid_parameter", "It takes one value"),
        ("nonsense=5", "unknown_parameter", "Known here"),
        ("price_min=1&price_min=2", "invalid_parameter", "price_min"),
        ("brand=%00", "invalid_parameter", "brand"),
        ("page_size=0", "invalid_parameter", "1 to 200"),
        ("page_size=201", "invalid_parameter", "1 to 200"),
        ("page_size=", "invalid_parameter", "page_size"),
        ("page_size=1e2", "invalid_parameter", "page_size"),
        ("page_size=%D9%A1", "invalid_parameter", "page_size"),
        ("page=" + "9" * 20_000, "invalid_parameter", "page"),
        ("page=1&cursor=x", "invalid_parameter", "not both"),
        ("page=-1", "invalid_parameter", "page"),
        ("count=some", "invalid_parameter", "bounded"),
        ("price_min=abc", "invalid_parameter", "price_min"),
        ("price_min=-1", "invalid_parameter", "price_min"),
        ("price_min=NaN", "invalid_parameter", "price_min"),
        ("price_min=Infinity", "invalid_parameter", "price_min"),
        ("price_min=1e400", "invalid_parameter", "price_min"),
        ("price_max=" + "9" * 20_000, "invalid_parameter", "price_max"),
        ("in_stock=yes", "invalid_parameter", "'yes' is not one of true, false."),
        ("status=gone", "invalid_parameter", "'gone' is not one of active, draft, archived."),
        ("created_after=yesterday", "invalid_parameter", "2026-01-31T12:00:00Z"),
        ("created_after=2026-01-31T12:00:00+02:00", "invalid_parameter", "%2B is a +"),
        ("created_after=9999-12-31T23:59:59-05:00", "invalid_parameter", "1 and 9999"),
        ("created_before=0001-01-01T00:00:00%2B05:00", "invalid_parameter", "1 and 9999"),
        ("id=1,x", "invalid_parameter", "id"),
        ("id=1.5", "invalid_parameter", "id"),
        ("id=" + ",".join(["1"] * 201), "invalid_parameter", "200"),
        ("sku=" + ",".join(["a"] * 201), "invalid_parameter", "200"),
        ("ordering=weight", "invalid_parameter", "ordering"),
        ("ordering=price,title", "invalid_parameter", "ordering"),
        ("search=%21%21", "invalid_parameter", "search"),
        ("search=tea&cursor=x", "invalid_parameter", "rank"),
        ("fields=id,titel", "invalid_parameter", "title"),
        ("fields=images", "invalid_parameter", "expand=images"),
        ("omit=nothing", "invalid_parameter", "omit"),
        ("fields=id&omit=id", "invalid_parameter", "Leave out fewer"),
        ("expand=text", "invalid_parameter", "expand"),
        ("expand=variants.product", "invalid_parameter", "expand"),
        ("expand=*", "invalid_parameter", "expand"),
        ("attr.nothing=1", "unknown_parameter", "attr.nothing"),
        ("format=xml", "unknown_parameter", "format"),
    ],
)
def test_a_bad_parameter_is_named(query: str, code: str, names: str, client: APIClient) -> None:
    problem = assert_problem(client.get(f"{URL}?{query}"), 400, code)
    assert names in f"{problem['detail']} {problem['hint']}"
    if problem["code"] != "invalid_cursor" and "errors" in problem and problem["errors"]:
        assert problem["errors"][0]["pointer"].startswith("?")


@pytest.mark.parametrize("count", [2, 20, 25])
def test_each_unknown_parameter_is_named_up_to_twenty(count: int, client: APIClient) -> None:
    names = [f"no{number}" for number in range(count)]
    problem = assert_problem(client.get(URL, dict.fromkeys(names, 1)), 400, "unknown_parameter")
    assert [error["pointer"] for error in problem["errors"]] == [f"?{name}" for name in names[:20]]


def test_each_unknown_word_of_a_list_is_named(client: APIClient) -> None:
    problem = assert_problem(client.get(f"{URL}?fields=id,titel,prise"), 400, "invalid_parameter")
    assert problem["detail"] == "fields: 'titel', 'prise' are not known here."


def test_a_missing_row_and_a_missing_address_are_404(client: APIClient) -> None:
    for path in (f"{URL}999/", f"{URL}{'9' * 18}/", f"{URL}x/", f"{URL}{'9' * 30}/", "/nowhere/", "/api/v1/prodcts/"):
        assert_problem(client.get(path), 404, "not_found")


def test_what_needs_credentials_is_401_and_what_needs_a_right_403(client: APIClient, db: None) -> None:
    answer = client.post(URL, {})
    assert "/auth/login/" in assert_problem(answer, 401, "not_authenticated")["hint"]
    assert answer["WWW-Authenticate"] == "Token"
    client.force_authenticate(User.objects.create_user("a@example.com", "a", is_staff=True))
    assert_problem(client.post(URL, {}), 403, "permission_denied")


@pytest.mark.parametrize("token", ["Token nonsense", "Token é".encode().decode("latin-1"), "Token a b", "Token"])
def test_a_wrong_token_is_401(token: str, client: APIClient) -> None:
    problem = assert_problem(client.get(URL, HTTP_AUTHORIZATION=token), 401, "authentication_failed")
    assert "/auth/login/" in problem["hint"]


def test_a_wrong_method_and_a_wrong_accept_are_refused(client: APIClient) -> None:
    assert_problem(client.post("/api/v1/variants/", {}), 405, "method_not_allowed")
    assert_problem(client.get(URL, HTTP_ACCEPT="application/pdf"), 406, "not_acceptable")


BODIES: list[tuple[bytes, str, int, str]] = [
    (b"{", "application/json", 400, "malformed_json"),
    (b'{"title": NaN}', "application/json", 400, "malformed_json"),
    (b"\xff\xfe", "application/json", 400, "malformed_json"),
    (b'{"title": "\\ud800"}', "application/json", 400, "malformed_json"),
    (b'{"title": "a\\u0000b"}', "application/json", 400, "malformed_json"),
    (b'{"attributes": {"a\\u0000": 1}}', "application/json", 400, "malformed_json"),
    (b'{"price": 18446744073709551616}', "application/json", 400, "malformed_json"),
    (b'{"attributes": ' + b"[" * 2000 + b"]" * 2000 + b"}", "application/json", 400, "body_too_deep"),
    (b'{"attributes": ' + b"[" * 40 + b"]" * 40 + b"}", "application/json", 400, "body_too_deep"),
    (b"[]", "application/json", 400, "invalid_body"),
    (b"null", "application/json", 400, "invalid_body"),
    (b'"text"', "application/json", 400, "invalid_body"),
    (b"{}", "application/json; charset=rot13", 415, "unsupported_media_type"),
    (b"{}", "application/json; charset=bz2_codec", 415, "unsupported_media_type"),
    (b"{}", "application/json; charset=nothing", 415, "unsupported_media_type"),
    (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    (b"<a/>", "text/xml", 415, "unsupported_media_type"),
    (b'{"title": "' + b"x" * 3_000_000 + b'"}', "application/json", 413, "body_too_large"),
]


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize(("body", "type_", "status", "code"), BODIES)
def test_a_bad_body_is_refused_and_loses_nothing(
    body: bytes, type_: str, status: int, code: str, staff: APIClient
) -> None:
    product = make_product(title="Kept")
    for method, url in ((staff.post, URL), (staff.put, f"{URL}{product.pk}/")):
        assert_problem(method(url, body, content_type=type_), status, code)
    assert list(Product.objects.values_list("title", flat=True)) == ["Kept"]


@pytest.mark.parametrize(
    ("method", "options", "hint"),
    [
        ("delete", {}, "Allow"),
        ("post", {"data": b"a=b", "content_type": "application/x-www-form-urlencoded"}, "application/json"),
        ("get", {"headers": {"Accept": "application/pdf"}}, "application/json"),
    ],
)
def test_what_the_framework_refuses_has_a_way_out_too(
    method: str, options: dict[str, Any], hint: str, staff: APIClient
) -> None:
    assert hint in getattr(staff, method)(URL, **options).json()["hint"]


@pytest.mark.parametrize(
    ("path", "body", "choices"),
    [
        ("products/", {"sku": "A", "title": "Tea", "status": "lost"}, "active, draft, archived"),
        ("products/bulk/", {"mode": "lost", "items": []}, "create, update, upsert"),
        ("exports/", {"resource": "lost", "format": "csv"}, "catalogue, changes, orders, products, stock, variants"),
    ],
)
def test_an_unknown_choice_is_answered_with_the_choices(
    path: str, body: dict[str, Any], choices: str, staff: APIClient
) -> None:
    problem = staff.post(f"/api/v1/{path}", body).json()
    assert any(fault["detail"].startswith(f"'lost' is not one of {choices}") for fault in problem["errors"])


def test_an_oversized_body_without_a_length_is_refused(staff: APIClient) -> None:
    # A chunked body has no Content-Length; Django sees only the stream.
    class Endless:
        left = 3_000_000

        def read(self, size: int = -1) -> bytes:
            size = self.left if size < 0 else min(size, self.left)
            self.left -= size
            return b" " * size

    from config.api.problems.errors import BodyTooLarge
    from config.api.writes.parsers import JSONParser

    with pytest.raises(BodyTooLarge):
        JSONParser().parse(Endless(), "application/json", {})


def test_a_post_without_its_csrf_token_is_a_problem_too() -> None:
    for path in ("/livez", "/admin/login/", "/api/v1/auth/session/login/"):
        assert_problem(Client(enforce_csrf_checks=True).post(path, {}), 403, "permission_denied")


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere/", 404), ("/admin/nowhere/", 404), ("/admin/auth/group/", 403)]
)
def test_a_browser_is_shown_a_page(path: str, status: int, db: None) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("a@example.com", "a", is_staff=True))
    answer = browser.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    page = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert answer["X-Request-ID"] in page
    assert_problem(browser.get(path), status, "not_found" if status == 404 else "permission_denied")


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_cache_between_keeps_page_and_problem_apart(accept: str) -> None:
    answer = respond_to(RequestFactory().get("/nowhere/", headers={"Accept": accept}), NotFound())
    assert set(answer["Vary"].split(", ")) == {"Accept", "Authorization", "Cookie"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("get", "/api/v1/products/999999/", {}, 404),
        ("get", "/api/v1/products/999999/", {"Accept": "text/html"}, 404),
        ("get", "/api/v1/nowhere/", {}, 404),
        ("get", "/nowhere/", {}, 404),
        ("get", "/api/v1/products/?x=1", {}, 400),
        ("get", "/api/v1/products/", {"Host": "elsewhere.example"}, 400),
        ("get", "/api/v1/products/", {"Accept": "image/png"}, 406),
        ("get", "/api/v1/products/", {"Authorization": "Token wrong"}, 401),
        ("get", "/api/v1/orders/", {}, 401),
        ("get", "/api/v1/exports/products.csv", {}, 401),
        ("post", "/api/v1/products/", {}, 401),
        ("post", "/api/v1/auth/login/", {}, 400),
        ("put", "/api/v1/products/", {}, 405),
    ],
)
def test_no_cache_keeps_an_error_or_gives_it_to_somebody_else(
    method: str, path: str, headers: dict[str, str], status: int, client: APIClient
) -> None:
    answer = getattr(client, method)(path, headers=headers)
    assert answer.status_code == status
    assert "no-store" in answer["Cache-Control"]
    assert {"Authorization", "Cookie"} <= set(answer["Vary"].split(", "))


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/products/", "/api/v1/docs/"])
@pytest.mark.parametrize(("method", "accept"), [("get", "text/html"), ("get", "application/json"), ("options", "*/*")])
def test_every_answer_of_the_api_says_who_may_keep_it(path: str, method: str, accept: str, client: APIClient) -> None:
    answer = getattr(client, method)(path, headers={"Accept": accept})
    assert answer["Cache-Control"] in ("public, no-cache", "private, no-cache", "no-store")
    assert {"Authorization", "Cookie"} <= set(answer["Vary"].split(", "))


UNREADABLE = ("*=x''y", "=bz2_codec", "=idna", "=utf-16")


def ask_server(content_type: str, path: str, **more: Any) -> tuple[str, bytes]:
    """Through the server's own door: Django raises while it builds the request, before any middleware."""
    head: dict[str, str] = {}
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "CONTENT_TYPE": content_type, "PATH_INFO": path, **more}
    setup_testing_defaults(environ)
    body = application(environ, lambda status, headers: head.update(status=status))
    return head["status"], b"".join(body)


@pytest.mark.parametrize("charset", UNREADABLE)
def test_a_content_type_that_cant_be_read_is_refused_as_none(charset: str) -> None:
    # The query string isn't decoded by the charset of a body that isn't there.
    status, body = ask_server(f"application/json; charset{charset}", "/api/v1/", QUERY_STRING="caf%C3%A9=a")
    assert (status, "café" in body.decode()) == ("400 Bad Request", True)
    status, body = ask_server(f"application/json; charset{charset}", "/password/reset/", QUERY_STRING="token=a")
    assert (status, b"<html" in body) == ("400 Bad Request", True)


@pytest.mark.parametrize("path", ["/api/v1/", "/password/reset/"])
def test_a_query_string_that_cant_be_read_is_refused_whatever_the_charset(path: str) -> None:
    query = "&".join(f"a{number}=1" for number in range(2_000))
    status, body = ask_server("application/json; charset=utf-8", path, QUERY_STRING=query)
    assert (status, b"bad_request" in body) == ("400 Bad Request", True)


@pytest.mark.parametrize("charset", UNREADABLE)
def test_a_body_of_another_charset_is_a_415(charset: str) -> None:
    body = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "2", "wsgi.input": BytesIO(b"{}")}
    status, answer = ask_server(f"application/json; charset{charset}", "/api/v1/auth/login/", **body)
    assert status == "415 Unsupported Media Type"
    assert json.loads(answer)["detail"].startswith('Unsupported media type "charset=')


def test_a_forged_host_is_a_problem_too_and_no_error_of_the_log(
    client: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    problem = assert_problem(client.get(URL, HTTP_HOST="evil.example"), 400, "bad_request")
    assert "ALLOWED_HOSTS" in problem["hint"]
    assert not caplog.records


def test_a_failure_of_ours_is_a_500_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("catalog.views.products.ProductViewSet.get_queryset", fail)
    answer = Client(raise_request_exception=False).get(URL)
    assert_problem(answer, 500, "server_error")
    assert b"secret" not in answer.content


def test_a_database_that_fails_is_a_503_with_retry_after(monkeypatch: pytest.MonkeyPatch, client: APIClient) -> None:
    from django.db import OperationalError

    def fail(*args: Any) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr("catalog.views.products.ProductViewSet.get_queryset", fail)
    answer = client.get(URL)
    assert_problem(answer, 503, "service_unavailable")
    assert answer["Retry-After"] == "2"


# -- a pooler that loses statements --------------------------------------------------------------------------------


class LostStatement(Exception):
    sqlstate = "26000"


def test_a_pooler_that_loses_prepared_statements_is_a_503_that_names_the_setting() -> None:
    lost = ProgrammingError('prepared statement "_pg3_0" does not exist')
    lost.__cause__ = LostStatement()
    found = find_api_error(lost)
    assert isinstance(found, Unavailable)
    assert "DATABASE_PREPARE=false" in found.hint
    assert find_api_error(ProgrammingError("syntax error")) is None
