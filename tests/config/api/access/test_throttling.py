"""How often a token and an address may come: told in headers, refused with 429."""

import time
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.test import APIClient

from accounts.models import AuthToken, User
from config.api.access.throttling import find_address
from config.api.gates.plan_gate import PlanGate
from config.wsgi import Handler
from tests.gates import send

pytestmark = [pytest.mark.both, pytest.mark.usefixtures("fresh_counts")]

URL = "/api/v1/"
PRODUCTS = "/api/v1/products/"


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
        # A port differs with each connection, and a socket for both kinds of addresses writes IPv4 in IPv6's form.
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "[2001:db8:1:2::1]:4711", "2001:db8:1:2::/64"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "[::FFFF:198.51.100.7]:4711", "198.51.100.7"),
        (1, "", "192.0.2.1"),  # the server drops a value that isn't ASCII
        (1, "10.9.9.9, ", "192.0.2.1"),
    ],
)
def test_only_trusted_proxies_say_where_it_comes_from(
    proxies: int, forwarded: str | None, address: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert find_address(RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", **headers).META) == address


def test_who_changes_the_header_is_still_counted(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "2/hour"
    answers = [client.get(URL, HTTP_X_FORWARDED_FOR=f"198.51.100.{n}") for n in range(3)]
    assert list_statuses(answers) == [200, 200, 429]


def test_an_ipv6_network_is_one_caller(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "2/hour"
    answers = [client.get(URL, REMOTE_ADDR=f"2001:db8:1:2::{n}") for n in range(3)]
    assert list_statuses(answers) == [200, 200, 429]
