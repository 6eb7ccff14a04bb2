"""Work slots: how many requests are at work, who waits, who is refused, and what a slow client can't hold up."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from config.api.database.lending import Loan
from config.api.database.observers import observe
from config.process.activity import ACTIVITY
from config.serving import shares, slots
from config.serving.slots import Application, RequestSlots

# Every connection here is one that no test's own transaction is on.
pytestmark = pytest.mark.django_db(transaction=True)


class Answers:
    """What a server would be told."""

    def __init__(self) -> None:
        self.status, self.headers = "", dict[str, str]()

    def __call__(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, dict(headers)


def ask(application: Application, path: str = "/", **environ: Any) -> tuple[str, Any, dict[str, str]]:
    answers = Answers()
    body = b"".join(application({"PATH_INFO": path, "REQUEST_METHOD": "GET"} | environ, answers))
    return answers.status, body, answers.headers


class Gate:
    """An application that stays at work until it is told to end."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.at_work = threading.Semaphore(0)
        self.most = self.now = 0
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.at_work.release()
        if environ["PATH_INFO"] != "/livez":
            self.end.wait(30)
        with self.lock:
            self.now -= 1
        start_response("200 OK", [])
        return [b"done"]


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def test_no_more_requests_work_than_there_are_slots(callers: ThreadPoolExecutor) -> None:
    gate = Gate()
    application = RequestSlots(gate, 2)
    answers = [callers.submit(ask, application) for _ in range(6)]
    gate.at_work.acquire()
    gate.at_work.acquire()
    gate.end.set()
    assert {answer.result()[0] for answer in answers} == {"200 OK"}
    assert gate.most == 2


@pytest.mark.parametrize("is_stream", [True, False])
def test_requests_slow_streams_down_and_streams_do_not(is_stream: bool) -> None:
    ACTIVITY.at = float("-inf")
    answer = StreamingHttpResponse([b"text"]) if is_stream else HttpResponse(b"text")
    ask(RequestSlots(lambda environ, start_response: answer, 1))
    assert ACTIVITY.is_recent is not is_stream


def test_who_waits_for_too_long_is_refused_with_a_problem_document(
    callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.1)
    gate = Gate()
    application = RequestSlots(gate, 1)
    answer = callers.submit(ask, application)
    gate.at_work.acquire()
    status, body, headers = ask(application, HTTP_X_REQUEST_ID="mine")
    gate.end.set()
    answer.result()
    problem = json.loads(body)
    assert (status, problem["status"], problem["code"]) == ("503 Service Unavailable", 503, "overloaded")
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Retry-After"] == "1"
    assert problem["request_id"] == headers["X-Request-ID"] == "mine"


@pytest.mark.slow
def test_who_comes_after_too_many_is_refused_at_once(
    callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(slots, "MOST_WAITING", 3)
    monkeypatch.setattr(shares, "WAIT_SECONDS", 30)
    gate = Gate()
    application = RequestSlots(gate, 1)
    answers = [callers.submit(ask, application) for _ in range(14)]
    # One works, three wait, ten are sent away although nothing has ended yet.
    refused = [answer for answer in answers if wait_until_done(answer)]
    assert len(refused) == 10
    gate.end.set()
    assert {answer.result()[0] for answer in set(answers) - set(refused)} == {"200 OK"}
    # One line a second, whatever their number.
    assert len([record for record in caplog.records if record.name == "tenfold.slots"]) == 1


def wait_until_done(answer: Any) -> bool:
    end = time.monotonic() + 0.5
    while not answer.done() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(answer.done())


def test_a_slot_that_failed_is_free_again() -> None:
    def fail(environ: Any, start_response: Any) -> list[bytes]:
        raise ZeroDivisionError

    application = RequestSlots(fail, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            ask(application)


# -- connections -------------------------------------------------------------------------------------------------


def name_backend() -> int:
    connection.ensure_connection()
    return id(connection.connection)


def taken(slotted: RequestSlots) -> Loan:
    loan = slotted.slots.take("")
    assert loan is not None
    return loan


def test_many_threads_share_the_connections_of_a_slot(callers: ThreadPoolExecutor) -> None:
    used = []

    def application(environ: Any, start_response: Any) -> HttpResponse:
        used.append(name_backend())
        start_response("200 OK", [])
        return HttpResponse(b"done")

    slotted = RequestSlots(application, 1)
    together = threading.Barrier(8)

    def call(number: int) -> None:
        together.wait()
        ask(slotted)
        assert not connections.all(initialized_only=True)  # the thread keeps none

    list(callers.map(call, range(8)))
    assert len(used) == 8
    assert len(set(used)) == 1
    with taken(slotted):
        connection.close()


def test_an_observer_of_a_thread_observes_its_loan_too() -> None:
    seen: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    loan = Loan()
    own = connections["default"]
    with observe(note), loan:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert connections["default"] is not own
    assert connections["default"] is own
    with loan:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 2")
        connection.close()
    assert seen == ["SELECT 1"]


def test_a_stream_takes_its_connections_along_and_closes_them_at_its_end() -> None:
    streams: list[int] = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/plain":
            return HttpResponse(str(name_backend()))
        streams.append(name_backend())
        return StreamingHttpResponse(iter([b"a", b"b"]))

    slotted, own = RequestSlots(application, 1), connections["default"]
    body: Any = slotted({"PATH_INFO": "/stream", "REQUEST_METHOD": "GET"}, Answers())
    # The only slot is free while the stream is on its way, and works with another connection.
    _, other, _ = ask(slotted, "/plain")
    assert int(other) != streams[0]
    assert list(body) == [b"a", b"b"]
    kept = connections["default"]
    assert id(kept.connection) == streams[0]
    body.close()
    assert kept.connection is None
    assert connections["default"] is own
    with taken(slotted):
        connection.close()


def test_a_file_leaves_whole_where_the_server_has_a_way_to_send_files() -> None:
    """gunicorn and waitress have one; Django gives them the file, which must still be open then."""
    environ = RequestFactory()._base_environ(PATH_INFO="/static/admin/css/base.css")
    answers = Answers()
    body: Any = RequestSlots(WSGIHandler(), 1)(environ | {"wsgi.file_wrapper": FileWrapper}, answers)
    text = b"".join(body)
    body.close()  # as servers do
    assert (answers.status, str(len(text))) == ("200 OK", answers.headers["Content-Length"])
    assert b"--body-bg" in text


# -- searches ----------------------------------------------------------------------------------------------------

SEARCHES = [
    "search=tea",
    "facets=brand",
    "page=1&search=tea",
    "%73earch=tea",
    "q=tea",
    "count=exact",
    "brand=a&count=estimated",
]


@pytest.mark.parametrize("query", SEARCHES)
def test_searches_hold_half_of_the_slots(
    query: str, callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.05)
    gate = Gate()
    application = RequestSlots(gate, 2)
    answer = callers.submit(ask, application, QUERY_STRING=query)
    gate.at_work.acquire()
    assert ask(application, QUERY_STRING=query)[0] == "503 Service Unavailable"
    others = [callers.submit(ask, application, QUERY_STRING=text) for text in ("", "search=", "count=bounded")]
    gate.at_work.acquire()  # one of them works, beside the search
    gate.end.set()
    assert {each.result()[0] for each in (answer, *others)} == {"200 OK"}
    assert ask(application, QUERY_STRING=query)[0] == "200 OK"


@pytest.mark.parametrize("path", ["/api/v1/products/facets/", "/api/v1/products/facets"])
def test_facets_are_searches_without_a_parameter_too(path: str) -> None:
    assert slots.is_search({"PATH_INFO": path})
    assert not slots.is_search({"PATH_INFO": "/api/v1/products/"})


@pytest.mark.parametrize(
    ("query", "is_search"),
    [
        ("search=tea", True), ("page=2&q=tea", True), ("sea%72ch=tea", True), ("search=%26tea", True),
        ("search=%0Atea", True), ("facets=brand", True), ("count=exact", True), ("count=ex%61ct&page=2", True),
        ("search=", False), ("research=tea", False), ("count=bounded", False), ("count=exactly", False),
        ("cursor=q", False),
    ],
)  # fmt: skip
def test_a_search_is_known_by_its_parameters(query: str, is_search: bool) -> None:
    assert slots.is_search({"PATH_INFO": "/api/v1/products/", "QUERY_STRING": query}) == is_search


def test_a_limited_number_of_searches_waits(callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would take the threads of probes."""
    monkeypatch.setattr(shares, "WAIT_SECONDS", 30)
    monkeypatch.setattr(slots, "MOST_SEARCHES_WAITING", 3)
    gate = Gate()
    application = RequestSlots(gate, 2)
    answers = [callers.submit(ask, application, QUERY_STRING="search=tea") for _ in range(10)]
    refused = [answer for answer in answers if wait_until_done(answer)]
    assert {answer.result()[0] for answer in refused} == {"503 Service Unavailable"}
    assert len(refused) == 6
    gate.end.set()
    assert {answer.result()[0] for answer in set(answers) - set(refused)} == {"200 OK"}
