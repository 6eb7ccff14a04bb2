"""Bodies: how many bytes each route takes of whom, when they are read, and what a slow client can't hold up."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from config.api.problems.errors import BodyTooSlow, Overloaded
from config.process.connections import find_sockets
from config.serving import readings, shares, slots
from config.serving.bodies import MEMORY_BYTES, STRANGER_BYTES, When, find_rule
from config.serving.readings import Reading, Suspects, Times, read_times
from config.serving.shares import Share
from config.serving.slots import RequestSlots
from tests.config.serving.test_slots import ask
from tests.factories import make_user

MOST = configured.DATA_UPLOAD_MAX_MEMORY_SIZE
CALLER = {"HTTP_AUTHORIZATION": "Token any"}
SESSION = {"HTTP_COOKIE": "csrftoken=a; sessionid=any"}
FORM = {"CONTENT_TYPE": "multipart/form-data; boundary=a", "CONTENT_LENGTH": "9"}
PICTURES = "/api/v1/products/7/images/"
PRODUCTS, IMPORTS, LOGIN = "/api/v1/products/", "/api/v1/imports/", "/api/v1/auth/login/"


@pytest.mark.parametrize(
    ("path", "who", "limit", "when"),
    [
        (LOGIN, {}, STRANGER_BYTES, When.AHEAD),
        (LOGIN.rstrip("/"), {}, STRANGER_BYTES, When.AHEAD),
        (LOGIN, CALLER, STRANGER_BYTES, When.AHEAD),
        ("/admin/login/", SESSION, STRANGER_BYTES, When.AHEAD),
        ("/api/v1/auth/session/login/", SESSION, STRANGER_BYTES, When.AHEAD),
        ("/", {}, STRANGER_BYTES, When.AHEAD),
        ("/nowhere/", {}, STRANGER_BYTES, When.AHEAD),
        ("/admin/catalog/product/add/", {}, STRANGER_BYTES, When.AHEAD),
        ("/admin/catalog/product/add/", SESSION, 64 * 2**20, When.STREAMED),
        ("/admin/catalog/importjob/add/", SESSION, 64 * 2**20, When.STREAMED),
        ("/admin/catalog/product/7/change/", SESSION, 64 * 2**20, When.STREAMED),
        ("/admin/catalog/product/", SESSION, MOST, When.AHEAD),
        ("/admin/catalog/product/7/delete/", SESSION, MOST, When.AHEAD),
        ("/admin/catalog/brand/add/", SESSION, MOST, When.AHEAD),
        (PICTURES, {}, MOST, When.NEVER),
        (PICTURES, CALLER | {"CONTENT_TYPE": "application/json"}, MOST, When.AHEAD),
        (PICTURES, CALLER | FORM, configured.MEDIA_MAX_BYTES + 65_536, When.STREAMED),
        (PRODUCTS, {}, MOST, When.NEVER),
        (PRODUCTS, {"HTTP_COOKIE": "csrftoken=a"}, MOST, When.NEVER),
        (PRODUCTS, CALLER, MOST, When.AHEAD),
        (IMPORTS, {}, MOST, When.NEVER),
        (IMPORTS, CALLER, configured.IMPORT_MAX_BYTES + 65_536, When.STREAMED),
        (IMPORTS, CALLER | {"CONTENT_TYPE": "multipart/form-data; boundary=a"}, MOST, When.AHEAD),
    ],
)
def test_a_route_limits_bodies_with_and_without_credentials(
    path: str, who: dict[str, str], limit: int, when: When
) -> None:
    assert find_rule({"PATH_INFO": path} | who) == (limit, when)


def test_a_path_that_no_server_sends_has_a_rule_too() -> None:
    # PATH_INFO holds bytes as Latin-1 (PEP 3333); this character isn't one.
    assert find_rule({"PATH_INFO": "/api/v1/products/\uaabf/"}) == (STRANGER_BYTES, When.AHEAD)


class Unread(BytesIO):
    """A body that nobody may read."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("a byte was read")


TOO_LONG = [
    ("/", STRANGER_BYTES + 1, {}),
    ("/admin/login/", 1_200_000_000, SESSION),
    ("/api/v1/auth/session/login/", STRANGER_BYTES + 1, {}),
    (LOGIN, STRANGER_BYTES + 1, {}),
    (PRODUCTS, MOST + 1, {}),
    (PRODUCTS, 10**30, CALLER),
    (IMPORTS, MOST + 1, {}),
    (IMPORTS, configured.IMPORT_MAX_BYTES + 65_537, CALLER),
]


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/csv"])
@pytest.mark.parametrize(("path", "length", "who"), TOO_LONG)
def test_a_body_past_its_limit_is_refused_before_a_byte_is_read(
    path: str, length: int, who: dict[str, str], content_type: str, client: APIClient
) -> None:
    body: Any = {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": content_type, "wsgi.input": Unread()} | who
    answer = client.generic("POST", path, **body)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert ask(RequestSlots(lambda environ, start_response: [b"unread"], 1), path, **body)[1] == b"unread"


@pytest.mark.parametrize("path", ["/", LOGIN, "/admin/login/"])
def test_a_body_without_a_length_is_cut_at_the_limit(path: str, client: APIClient) -> None:
    endless: Any = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": "application/json", "wsgi.input": Endless()}
    answer = client.generic("POST", path, **endless)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert endless["wsgi.input"].size == STRANGER_BYTES + 1


class Endless(BytesIO):
    size = 0

    def read(self, size: int | None = -1) -> bytes:
        self.size += size or 0
        return b"x" * (size or 0)


@pytest.mark.django_db
def test_a_caller_without_credentials_is_sent_away_unread(client: APIClient) -> None:
    body: Any = {"CONTENT_LENGTH": "1000", "CONTENT_TYPE": "application/json", "wsgi.input": Unread()}
    assert client.generic("POST", PRODUCTS, **body).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(("right", "status"), [("view_product", 403), ("add_importjob", 413)])
def test_only_who_may_import_sends_a_file(right: str, status: int, settings: Any) -> None:
    """By a session, whose CSRF token would be looked for in the form."""
    settings.IMPORT_MAX_BYTES = 1024
    browser = APIClient(enforce_csrf_checks=True)
    user = make_user()
    user.user_permissions.add(*Permission.objects.filter(codename=right))
    browser.force_login(user)
    size = 1024 + 65_536 + (1 if status == 413 else 0)
    body: Any = {"CONTENT_LENGTH": str(size), "wsgi.input": Unread()}
    answer = browser.generic("POST", IMPORTS, content_type="multipart/form-data; boundary=x", **body)
    assert answer.status_code == status


FILE_PAGES = ["/admin/catalog/importjob/add/", "/admin/catalog/product/add/"]


@pytest.mark.django_db
@pytest.mark.parametrize("page", FILE_PAGES)
def test_who_may_not_use_a_page_for_files_is_sent_away_unread(page: str) -> None:
    body: Any = {"CONTENT_LENGTH": str(60 * 2**20), "wsgi.input": Unread(), "CONTENT_TYPE": FORM["CONTENT_TYPE"]}
    stranger = Client(enforce_csrf_checks=True, headers={"cookie": "csrftoken=a; sessionid=any"})
    answer = stranger.generic("POST", page, **body)
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={page}")
    clerk = sign_in(make_user(is_staff=True))
    assert clerk.generic("POST", page, **body).status_code == 403


def sign_in(user: Any) -> Client:
    """A browser that had a form's page: for its CSRF token the form would be read."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    browser.cookies["csrftoken"] = "a" * 32
    return browser


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rights", "page"),
    [
        (["view_product", "delete_product", "change_product"], "/admin/catalog/product/add/"),
        (["view_product", "delete_product"], "/admin/catalog/product/7/change/"),
        (["view_importjob", "change_importjob", "delete_importjob"], "/admin/catalog/importjob/add/"),
        (["view_importjob"], "/admin/catalog/importjob/7/change/"),
    ],
)
def test_who_may_only_look_at_a_page_for_files_is_sent_away_unread(rights: list[str], page: str) -> None:
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    clerk = sign_in(user)
    body: Any = {"CONTENT_LENGTH": str(60 * 2**20), "wsgi.input": Unread(), "CONTENT_TYPE": FORM["CONTENT_TYPE"]}
    assert clerk.generic("POST", page, **body).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("page", FILE_PAGES)
def test_a_form_with_a_file_that_comes_too_slowly_is_refused(page: str) -> None:
    class TooSlow(BytesIO):
        def read(self, *args: Any) -> bytes:
            raise BodyTooSlow(10, 16_384)

    keeper = Client(enforce_csrf_checks=True, raise_request_exception=False)
    keeper.force_login(make_user(is_staff=True, is_superuser=True))
    keeper.cookies["csrftoken"] = "a" * 32
    body: Any = {"CONTENT_LENGTH": "9999", "wsgi.input": TooSlow(), "CONTENT_TYPE": FORM["CONTENT_TYPE"]}
    answer = keeper.generic("POST", page, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_too_slow")


# -- read ahead --------------------------------------------------------------------------------------------------


class SlowBody(BytesIO):
    """Comes when it is told to."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.asked, self.come = threading.Event(), threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.asked.set()
        self.come.wait(30)
        return super().read(size)


def echo(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read() if "wsgi.input" in environ else b"none"]


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.mark.parametrize("size", [100, 3 * MEMORY_BYTES])
def test_a_slow_body_holds_no_slot(size: int, callers: ThreadPoolExecutor) -> None:
    application = RequestSlots(echo, 1)
    body = SlowBody(b"x" * size)
    slow = callers.submit(ask, application, PRODUCTS, **CALLER, **{"CONTENT_LENGTH": str(size), "wsgi.input": body})
    assert body.asked.wait(10)
    assert ask(application)[1] == b"none"
    body.come.set()
    assert slow.result()[1] == b"x" * size


def test_slow_files_hold_half_of_the_slots(callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.1)
    application = RequestSlots(echo, 2)
    body = SlowBody(b"x" * 100)
    slow = callers.submit(ask, application, IMPORTS, **CALLER, **{"CONTENT_LENGTH": "100", "wsgi.input": body})
    assert body.asked.wait(10)
    second = CALLER | {"CONTENT_LENGTH": "100", "wsgi.input": BytesIO(b"x" * 100)}
    assert ask(application, IMPORTS, **second)[0] == "503 Service Unavailable"
    assert ask(application)[0] == "200 OK"
    body.come.set()
    assert slow.result()[1] == b"x" * 100


def test_bodies_of_strangers_leave_room_for_those_of_callers(
    callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MOST_BODIES_OF_STRANGERS", 2)
    application = RequestSlots(echo, 1)
    bodies = [SlowBody(b"x") for _ in range(2)]
    slow = [callers.submit(ask, application, LOGIN, **send(body, 1)) for body in bodies]
    assert all(body.asked.wait(10) for body in bodies)
    assert ask(application, LOGIN, **send(BytesIO(b"x"), 1))[0] == "503 Service Unavailable"
    assert ask(application, PRODUCTS, **CALLER, **send(BytesIO(b"x"), 1))[1] == b"x"
    for body in bodies:
        body.come.set()
    assert {answer.result()[1] for answer in slow} == {b"x"}


def send(body: BytesIO, size: int) -> dict[str, Any]:
    return {"CONTENT_LENGTH": str(size), "wsgi.input": body}


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [PRODUCTS, IMPORTS])
def test_every_byte_of_a_body_arrives(path: str, size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    how = {"HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {"CONTENT_LENGTH": str(size)}
    assert ask(RequestSlots(echo, 1), path, **CALLER, **how, **{"wsgi.input": BytesIO(body[:size])})[1] == body[:size]


# -- time --------------------------------------------------------------------------------------------------------


def test_a_body_past_its_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends early then, since its connection was cut."""
    monkeypatch.setattr(readings, "BODY_SECONDS", -1)
    status, body, _ = ask(RequestSlots(echo, 1), LOGIN, **send(BytesIO(b"x"), 100))
    assert (status, b"body_too_slow" in body) == ("400 Bad Request", True)


def test_a_body_has_time_for_its_bytes_and_less_while_others_are_refused() -> None:
    share = Share(range(1))
    reading = Reading({"wsgi.input": BytesIO(b"x")}, share)
    assert not reading.is_late
    reading.began -= readings.HURRY_SECONDS + 0.1
    assert not reading.is_late
    with share.hold({}), pytest.raises(Overloaded), share.hold({}):
        pass
    assert reading.is_late
    reading.size = readings.BYTES_A_SECOND
    assert not reading.is_late


def test_the_connection_of_a_reading_is_found_by_address_and_time() -> None:
    times = {
        1: Times("192.0.2.1", sent=90, since=100),
        2: Times("192.0.2.2", sent=90, since=100),
        3: Times("192.0.2.1", sent=90, since=50),
        4: Times("192.0.2.1", sent=100, since=None),
        5: Times("192.0.2.1", sent=100.2, since=100.1),
    }
    suspects = Suspects(times)
    reading = Reading({"wsgi.input": BytesIO(), "REMOTE_ADDR": "192.0.2.1"}, Share(range(1)))
    reading.began = 100.3
    # Those that owe an answer first; none twice, none of another address or another time.
    assert [suspects.take(reading) for _ in range(4)] == [1, 5, 4, None]


@pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux tells the times of connections")
def test_the_kernel_tells_when_a_connection_heard_and_said_something() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            asked = time.monotonic()
            client.sendall(b"question")
            assert accepted.recv(100) == b"question"
            heard = time.monotonic()
            time.sleep(0.05)
            assert os.fstat(accepted.fileno()).st_ino in dict(find_sockets(listener.getsockname()[1]))
            owing = read_times(accepted, None)
            assert owing.address == "127.0.0.1"
            # The kernel counts in milliseconds; what this process waits for a processor isn't in them.
            assert owing.since is None or asked - 0.04 < owing.since < heard + 0.04
            time.sleep(0.05)
            accepted.sendall(b"answer")
            assert read_times(accepted, None).since is None
