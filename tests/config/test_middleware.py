"""What every answer carries: an id, its timing, its log line."""

import re
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import connection, connections
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from config.logs import RequestLine
from tests.factories import make_product

pytestmark = pytest.mark.django_db

TIMING = re.compile(
    r'db;dur=[\d.]+;desc="\d+ queries", cache;desc="(hit|miss|stale|bypass)", render;dur=[\d.]+, total;dur=[\d.]+'
)


@pytest.mark.parametrize("path", ["/api/v1/products/", "/nowhere/", "/livez", "/api/v1/products/?x=1"])
def test_every_answer_says_its_id_and_its_timing(path: str, client: APIClient) -> None:
    answer = client.get(path)
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", answer["X-Request-ID"])
    timing = answer["Server-Timing"]
    assert re.fullmatch(
        r'db;dur=[\d.]+;desc="\d+ queries", cache;desc="(bypass|miss)", render;dur=[\d.]+, total;dur=[\d.]+', timing
    )
    assert answer["X-Cache"] in ("bypass", "miss")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/static/tenfold/icon.svg", {}, 200),
        ("/metrics", {}, 200),
        ("/api/v1/orders/", {}, 401),
        ("/api/v1/products/", {"HTTP_ACCEPT": "text/html"}, 200),
        ("/api/v1/products/", {"HTTP_ACCEPT": "image/png"}, 406),
        ("/", {}, 200),
    ],
)
def test_pages_files_and_refusals_say_their_timing_too(
    path: str, headers: dict[str, Any], status: int, client: APIClient
) -> None:
    answer = client.get(path, **headers)
    b"".join(answer)  # a file is closed by who reads it
    answer.close()
    assert answer.status_code == status
    assert TIMING.fullmatch(answer["Server-Timing"])


def test_a_hit_and_an_unchanged_answer_say_their_timing_too(client: APIClient) -> None:
    make_product()
    first, *_, hit = [client.get("/api/v1/products/") for _ in range(4)]
    unchanged = client.get("/api/v1/products/", HTTP_IF_NONE_MATCH=first["ETag"])
    assert (hit["X-Cache"], unchanged.status_code) == ("hit", 304)
    for answer in (first, hit, unchanged):
        assert TIMING.fullmatch(answer["Server-Timing"])
        assert f'cache;desc="{answer["X-Cache"]}"' in answer["Server-Timing"]
    assert 'db;dur=0.0;desc="0 queries"' in hit["Server-Timing"]


def test_the_timing_counts_the_queries(
    client: APIClient, settings: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.CACHE = "off"  # it asks for the log's position, for whoever comes next
    make_product()
    make_product()
    # The page, its count, and on PostgreSQL what the planner expects of the count.
    number = 3 if connection.vendor == "postgresql" else 2
    with django_assert_num_queries(number):
        answer = client.get("/api/v1/products/?page=1&page_size=1&count=exact")
    assert f'desc="{number} queries"' in answer["Server-Timing"]


@pytest.mark.django_db(transaction=True)
def test_the_first_request_of_a_thread_counts_its_queries_too(client: APIClient) -> None:
    def ask() -> str:
        try:
            return str(client.get("/api/v1/products/")["Server-Timing"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        assert 'desc="1 queries"' in pool.submit(ask).result()


def test_a_given_id_is_kept_unless_it_could_forge_a_line(client: APIClient) -> None:
    assert client.get("/livez", HTTP_X_REQUEST_ID="abc-1.2:3")["X-Request-ID"] == "abc-1.2:3"
    for forged in ("a b", "a\nb", "x" * 101, "é"):
        assert client.get("/livez", HTTP_X_REQUEST_ID=forged)["X-Request-ID"] != forged


def test_a_request_is_one_log_line_with_its_figures(client: APIClient, request_lines: list[RequestLine]) -> None:
    make_product()
    make_product()
    answer = client.get("/api/v1/products/?search=product")
    client.get("/api/v1/products/?search=secret")
    line, other = request_lines
    assert (line.method, line.path, line.route) == ("GET", "/api/v1/products/", "api/v1/products/$")
    # A search asks which brands it names, then for the page.
    assert (line.status, line.queries, line.size, line.cache) == (200, 2, len(answer.content), "miss")
    assert line.request_id == answer["X-Request-ID"]
    assert (line.rows, other.rows) == (2, 0)
    assert "secret" not in repr(other)


def test_a_json_answer_is_compressed_on_request(client: APIClient) -> None:
    for _ in range(5):
        make_product()
    assert client.get("/api/v1/products/", HTTP_ACCEPT_ENCODING="gzip")["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in client.get("/api/v1/products/")


class Trickle(BytesIO):
    """What a server hands out of a body without a length: a piece at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 100))


def send_chunked(staff: APIClient, body: bytes) -> Any:
    url = f"/api/v1/products/{make_product().pk}/"
    chunked: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": Trickle(body)}
    chunked["HTTP_AUTHORIZATION"] = "Token any"  # without credentials nothing is read
    return staff.generic("PATCH", url, content_type="application/json", **chunked)


def test_a_body_without_a_length_is_read(staff: APIClient) -> None:
    answer = send_chunked(staff, b'{"title": "%s"}' % (b"x" * 300))
    assert (answer.status_code, answer.json()["title"]) == (200, "x" * 300)


def test_a_body_without_a_length_has_the_same_bound(staff: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_024
    answer = send_chunked(staff, b'{"title": "%s"}' % (b"x" * 5_000))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_program_s_read_touches_no_session(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a session for a request without a cookie")

    monkeypatch.setattr(SessionMiddleware, "process_request", refuse)
    answer = client.get("/api/v1/products/")
    assert answer.status_code == 200
    # All the same: somebody with a session may see other rows.
    assert {"Accept", "Cookie"} <= set(answer["Vary"].split(", "))


def test_who_brings_a_session_has_it(client: APIClient, admin_user: User) -> None:
    draft = make_product(status="draft")
    client.force_login(admin_user)
    assert client.get(f"/api/v1/products/{draft.pk}/").status_code == 200
    client.logout()
    assert client.get(f"/api/v1/products/{draft.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/products/", 200),
        ("get", "/api/v1/products/?prise=5", 400),
        ("get", "/api/v1/nothing/", 404),
        ("get", "/api/v1/me/addresses/", 200),
        ("post", "/api/v1/products/", 201),
    ],
)
def test_a_json_answer_may_load_nothing(
    method: str, path: str, status: int, client: APIClient, admin_user: User
) -> None:
    client.force_authenticate(admin_user)
    answer = getattr(client, method)(path, {"sku": "A", "title": "Tea", "price": "1.00"} if method == "post" else None)
    assert answer.status_code == status
    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("method", "status"), [("get", 301), ("head", 301), ("post", 308), ("patch", 308), ("put", 308)]
)
def test_a_write_keeps_its_method_and_body_on_its_way_to_https(method: str, status: int, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = getattr(APIClient(), method)("/api/v1/products/")
    assert (answer.status_code, answer["Location"]) == (status, "https://testserver/api/v1/products/")
