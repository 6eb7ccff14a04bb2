"""How often an address and an account may try to sign in: counted, refused with 429, and closed without Redis."""

from typing import Any

import pytest
from django.conf import settings as current
from rest_framework.test import APIClient

from accounts.models import User
from config.api.access import rate_store
from tests.services import RedisServer

pytestmark = [pytest.mark.both, pytest.mark.usefixtures("fresh_counts")]

LOGIN = "/api/v1/auth/login/"


def list_statuses(answers: list[Any]) -> list[int]:
    return [answer.status_code for answer in answers]


def read_root(client: APIClient, times: int) -> list[int]:
    return list_statuses([client.get("/api/v1/") for _ in range(times)])


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


@pytest.mark.skipif(not current.REDIS_URL, reason="there is no Redis: one process counts for itself")
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
    storage = rate_store.InRedis()
    storage.storage = storage.dependency.from_url(redis.url, socket_timeout=0.06, socket_connect_timeout=0.06)
    monkeypatch.setattr(rate_store, "open_storage", lambda: storage)
    try:
        assert read_root(client, 2) == [200, 429]
        redis.stop()
        assert read_root(client, 3) == [200] * 3
        assert "aren't limited" in caplog.text
        answer = sign_in(client, password="root")
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert int(answer["Retry-After"]) > 0
        assert "Redis" in answer.json()["detail"]
    finally:
        redis.stop()
