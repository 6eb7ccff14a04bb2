"""How often a token, an address and a sign-in may come: counted atomically, told in headers, refused with 429."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings as current
from django.test import RequestFactory
from rest_framework.test import APIClient

from accounts.models import AuthToken, User
from config.api.access import throttling
from config.api.access.throttling import Rate, find_address, find_wait, take
from config.api.gates.plan_gate import PlanGate
from config.wsgi import Handler
from tests.gates import send
from tests.launching import launch
from tests.services import RedisServer

pytestmark = pytest.mark.both

URL = "/api/v1/"
PRODUCTS = "/api/v1/products/"
LOGIN = "/api/v1/auth/login/"

on_redis = pytest.mark.skipif(not current.REDIS_URL, reason="there is no Redis: one process counts for itself")


@pytest.fixture(autouse=True)
def fresh_counts() -> Iterator[None]:
    """Nobody has asked yet, and Redis is there."""
    throttling._open_storage.cache_clear()
    if current.REDIS_URL:
        throttling.open_storage().storage.flushdb()
    yield
    throttling._open_storage.cache_clear()
    throttling.BREAKER.failures, throttling.BREAKER.is_open = 0, False


def ask(client: APIClient, times: int, **headers: str) -> list[Any]:
    return [client.get(URL, **headers) for _ in range(times)]


def list_statuses(answers: list[Any]) -> list[int]:
    return [answer.status_code for answer in answers]


# -- an address, a token -----------------------------------------------------------------------------------------


def test_an_address_has_its_rate(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "3/hour"
    *passed, refused = ask(client, 4)
    assert list_statuses(passed) == [200] * 3
    assert [answer["RateLimit-Remaining"] for answer in (*passed, refused)] == ["2", "1", "0", "0"]
    assert {answer["RateLimit-Limit"] for answer in (*passed, refused)} == {"3"}
    assert all(0 < int(answer["RateLimit-Reset"]) <= 3600 for answer in (*passed, refused))
    assert refused.status_code == 429
    assert refused["Content-Type"] == "application/problem+json"
    assert 0 < int(refused["Retry-After"]) <= 3601
    problem = refused.json()
    assert problem["code"] == "too_many_requests"
    assert problem["detail"] == "More than 3 requests an hour from this address."
    assert ask(client, 1, REMOTE_ADDR="192.0.2.9")[0].status_code == 200


@pytest.mark.django_db(transaction=True)
def test_what_the_gate_answers_counts_once_too(settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "4/hour"
    gate = PlanGate(Handler())
    answers = [send(gate, address) for address in [PRODUCTS] * 3 + [f"{PRODUCTS}999999/"] + [PRODUCTS]]
    assert [status for status, _, _ in answers] == [200, 200, 200, 404, 429]
    assert [headers["RateLimit-Remaining"] for _, headers, _ in answers] == ["3", "2", "1", "0", "0"]


def test_off_counts_nothing(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "off"
    assert all("RateLimit-Limit" not in answer for answer in ask(client, 3))


def test_a_token_has_its_own_rate_wherever_it_comes_from(client: APIClient, admin_user: User, settings: Any) -> None:
    settings.RATE_LIMIT_ANON, settings.RATE_LIMIT_TOKEN = "1/hour", "2/hour"
    one, other = (f"Token {AuthToken.objects.create(admin_user)[1]}" for _ in range(2))
    answers = [client.get(URL, HTTP_AUTHORIZATION=one, REMOTE_ADDR=f"192.0.2.{n}") for n in range(3)]
    assert list_statuses(answers) == [200, 200, 429]
    assert "this token" in answers[-1].json()["detail"]
    assert client.get(URL, HTTP_AUTHORIZATION=other).status_code == 200
    assert list_statuses(ask(client, 2)) == [200, 429]


def test_a_session_counts_as_its_user(admin_user: User, settings: Any) -> None:
    settings.RATE_LIMIT_TOKEN = "1/hour"
    answers = []
    for _ in range(2):
        client = APIClient()
        client.force_login(admin_user)
        answers += ask(client, 1)
    assert list_statuses(answers) == [200, 429]


@pytest.mark.slow
def test_who_waits_as_long_as_told_may_go_on(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "2/second"
    answers = ask(client, 6)
    refused = next(answer for answer in answers if answer.status_code == 429)
    time.sleep(int(refused["Retry-After"]))  # what is tested
    assert ask(client, 1)[0].status_code == 200


@pytest.mark.parametrize("window", [(0, 0.0, 10, 90.0), (8, 30.0, 6, 90.0), (10, 60.0, 0, 120.0), (10, 1.0, 10, 61.0)])
def test_the_wait_is_until_one_more_may_pass(window: throttling.Window) -> None:
    before, before_ttl, now, now_ttl = window
    wait = find_wait(Rate(10, 60, "minute"), window)
    if wait >= now_ttl - 60:  # the window has ended by then, and this one's count slides out
        before, before_ttl, now, now_ttl = now, now_ttl, 0, now_ttl + 60
    assert int(before * (before_ttl - wait) / 60) + now + 1 <= 10


# -- where it comes from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, None, "192.0.2.1"),
        (0, "198.51.100.7", "192.0.2.1"),  # anybody can write the header
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "10.9.9.9, 198.51.100.7", "198.51.100.7"),  # what stands before the proxy's word is the client's
        (2, "10.9.9.9, 198.51.100.7, 203.0.113.5", "198.51.100.7"),
        (2, "198.51.100.7", "192.0.2.1"),  # one proxy was passed by
        (1, "2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
    ],
)
def test_only_trusted_proxies_say_where_it_comes_from(
    proxies: int, forwarded: str | None, address: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert find_address(RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", **headers).META) == address


def test_who_changes_the_header_is_still_counted(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "2/hour"
    answers = [client.get(URL, HTTP_X_FORWARDED_FOR=f"198.51.100.{n}") for n in range(3)]
    assert list_statuses(answers) == [200, 200, 429]


def test_an_ipv6_network_is_one_caller(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "2/hour"
    answers = [client.get(URL, REMOTE_ADDR=f"2001:db8:1:2::{n}") for n in range(3)]
    assert list_statuses(answers) == [200, 200, 429]


# -- signing in --------------------------------------------------------------------------------------------------


def sign_in(client: APIClient, email: str = "root@example.com", password: str = "wrong", **headers: str) -> Any:
    return client.post(LOGIN, {"email": email, "password": password}, **headers)


@pytest.mark.django_db
def test_an_address_may_try_so_many_accounts(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    answers = [sign_in(client, f"user-{n}@example.com") for n in range(3)]
    assert list_statuses(answers) == [401, 401, 429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert "from this address" in answers[-1].json()["detail"]
    assert int(answers[-1]["Retry-After"]) > 0


@pytest.mark.django_db
def test_an_account_may_be_tried_so_often_from_anywhere(client: APIClient, admin_user: User, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    emails = ("root@example.com", "ROOT@example.com", "Root@Example.com")
    answers = [sign_in(client, email, REMOTE_ADDR=f"192.0.2.{n}") for n, email in enumerate(emails)]
    assert list_statuses(answers) == [401, 401, 429]
    assert "to this account" in answers[-1].json()["detail"]
    # Not even with the right password, or the limit would tell which one it is.
    assert sign_in(client, password="root", REMOTE_ADDR="192.0.2.77").status_code == 429


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/admin/login/", "/api/v1/auth/session/login/"])
def test_the_pages_to_sign_in_count_too(page: str, client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    body = {"username": "root@example.com", "password": "wrong"}
    answers = [client.post(page, body, format="multipart") for _ in range(3)]
    assert list_statuses(answers) == [200, 200, 429]
    assert sign_in(client).status_code == 429


@on_redis
@pytest.mark.django_db
def test_without_redis_reads_go_on_and_nobody_signs_in(
    client: APIClient,
    admin_user: User,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.RATE_LIMIT_ANON, settings.RATE_LIMIT_LOGIN = "1/hour", "10/hour"
    redis = RedisServer()
    storage = throttling.InRedis()
    storage.storage = storage.dependency.from_url(redis.url, socket_timeout=0.06, socket_connect_timeout=0.06)
    monkeypatch.setattr(throttling, "open_storage", lambda: storage)
    try:
        assert list_statuses(ask(client, 2)) == [200, 429]
        redis.stop()
        assert list_statuses(ask(client, 3)) == [200] * 3
        assert "aren't limited" in caplog.text
        answer = sign_in(client, password="root")
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert int(answer["Retry-After"]) > 0
        assert "Redis" in answer.json()["detail"]
    finally:
        redis.stop()


# -- many at once ------------------------------------------------------------------------------------------------


def test_16_threads_get_exactly_as_many_as_there_are() -> None:
    rate, start = Rate(1000, 3600, "hour"), Barrier(16)

    def hit(_: int) -> int:
        start.wait()
        standings = [take(rate, "address", "192.0.2.1") for _ in range(100)]
        return sum(standing is not None and standing.is_allowed for standing in standings)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(hit, range(16))) == 1000


@on_redis
def test_64_threads_in_4_processes_get_exactly_as_many_as_there_are() -> None:
    command = ("-m", "tests.takers", "12", "4")
    with ExitStack() as stack:
        takers = [stack.enter_context(launch(*command, REDIS_URL=current.REDIS_URL)) for _ in range(4)]
        passed = [int(taker.wait_for("passed").split()[1]) for taker in takers]
    assert sum(passed) == 500  # of 4 * 16 * 12
    assert all(passed)
