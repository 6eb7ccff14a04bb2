"""What the server answers before the gates and Django: probes, whatever Host they name, and requests without a Host."""

from io import BytesIO
from typing import Any

import pytest

from config.logs import RequestLine
from config.serving.front import PROBES, Front
from config.urls import urlpatterns
from tests.config.serving.test_bodies import Unread
from tests.config.serving.test_slots import ask

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

SERVER = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "REMOTE_ADDR": "127.0.0.1", "wsgi.input": BytesIO()}


def refuse_all(environ: Any, start_response: Any) -> list[bytes]:
    raise AssertionError("it went on to Django")


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("host", ["10.0.0.7:8000", "elsewhere.example", "", None])
def test_a_probe_is_answered_whatever_host_it_names(path: str, host: str | None) -> None:
    named = {} if host is None else {"HTTP_HOST": host}
    status, body, headers = ask(Front(refuse_all), path, **SERVER, **named)
    assert status in ("200 OK", "503 Service Unavailable")  # no worker, no migration of another test
    assert (headers["Content-Length"], headers["Cache-Control"]) == (str(len(body)), "no-store")
    assert headers["X-Request-ID"]


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_a_probe_takes_get_and_head_alone_and_reads_no_body(path: str, method: str) -> None:
    body: dict[str, Any] = {"CONTENT_LENGTH": "1200000000", "CONTENT_TYPE": "multipart/form-data; boundary=a"}
    environ = SERVER | body | {"HTTP_COOKIE": "csrftoken=a", "HTTP_HOST": "127.0.0.1", "wsgi.input": Unread()}
    status, _, headers = ask(Front(refuse_all), path, **environ, REQUEST_METHOD=method)
    assert (status, headers["Allow"]) == ("405 Method Not Allowed", "GET, HEAD")
    assert ask(Front(refuse_all), path, **environ, REQUEST_METHOD="HEAD")[0] != status


def test_a_probe_has_its_log_line(request_lines: list[RequestLine]) -> None:
    ask(Front(refuse_all), "/livez", **SERVER)
    [line] = request_lines
    assert (line.method, line.path, line.route, line.status) == ("GET", "/livez", "livez", 200)


def test_every_probe_of_the_addresses_is_answered_here() -> None:
    plain = {f"/{pattern.pattern}" for pattern in urlpatterns if not str(pattern.pattern).endswith("/")}
    assert plain - {"/"} == PROBES.keys()


def test_a_request_that_names_no_host_is_refused() -> None:
    status, body, headers = ask(Front(refuse_all), "/api/v1/brands/", **SERVER)
    assert (status, headers["Content-Type"]) == ("400 Bad Request", "application/problem+json")
    assert b"no Host header" in body
    assert (headers["Cache-Control"], headers["Vary"]) == ("no-store", "Authorization, Cookie")
