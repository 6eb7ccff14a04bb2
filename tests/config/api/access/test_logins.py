"""How often an address and an account may try to sign in: counted, refused with 429, and closed without Redis."""

from typing import Any

import pytest
from django.conf import settings as current
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import User
from config.api.access import rate_store
from config.api.access.logins import CEILING
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
def test_an_address_may_try_a_limited_number_of_accounts(client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    answers = [sign_in(client, f"user-{n}@example.com") for n in range(3)]
    assert list_statuses(answers) == [401, 401, 429]
    assert answers[-1].json()["code"] == "too_many_requests"
    assert "from this address" in answers[-1].json()["detail"]
    assert int(answers[-1]["Retry-After"]) > 0


def flood_account(client: APIClient, times: int) -> list[int]:
    """Wrong passwords for one account, each from another address; whatever the case of its name."""
    emails = ("root@example.com", "ROOT@example.com", "Root@Example.com")
    places = [f"198.51.{n // 250}.{n % 250}" for n in range(times)]
    return list_statuses([sign_in(client, emails[n % 3], REMOTE_ADDR=place) for n, place in enumerate(places)])


@pytest.mark.django_db
def test_wrong_passwords_from_one_address_lock_nobody_out_elsewhere(client: APIClient, admin_user: User) -> None:
    with override_settings(RATE_LIMIT_LOGIN="10/minute"):
        assert list_statuses([sign_in(client) for _ in range(11)]) == [401] * 10 + [429]
        assert sign_in(client, password="root", REMOTE_ADDR="192.0.2.77").status_code == 200


@pytest.mark.django_db
def test_an_account_may_be_tried_a_limited_number_of_times_from_anywhere(
    client: APIClient, admin_user: User, settings: Any
) -> None:
    settings.RATE_LIMIT_LOGIN = "1/hour"
    assert flood_account(client, CEILING + 1) == [401] * CEILING + [429]
    # Not even with the right password, or the limit would tell which one it is.
    refused = sign_in(client, password="root", REMOTE_ADDR="192.0.2.77")
    assert refused.status_code == 429
    assert f"More than {CEILING} sign-ins an hour to this account." in refused.json()["detail"]


@pytest.mark.django_db
def test_the_owners_device_gets_through(client: APIClient, admin_user: User, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    owner = APIClient()
    cookie = sign_in(owner, password="root", REMOTE_ADDR="192.0.2.7").cookies["device"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (LOGIN, True, "Lax")
    settings.RATE_LIMIT_LOGIN = "1/hour"
    flood_account(client, CEILING + 1)
    assert sign_in(owner, password="root", REMOTE_ADDR="198.51.0.1").status_code == 200
    # The device has a limit, too, and opens no other account.
    assert sign_in(owner, password="root", REMOTE_ADDR="198.51.0.1").status_code == 429
    assert "from this address" in sign_in(owner, "other@example.com", REMOTE_ADDR="198.51.0.1").json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["", "x", "of another"])
def test_a_device_that_nobody_signed_is_unknown(change: str, admin_user: User, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    owner = APIClient()
    sign_in(owner, password="root")
    value = owner.cookies["device"].value
    owner.cookies["device"] = f"{change}{value.partition('.')[2]}" if change else ""
    settings.RATE_LIMIT_LOGIN = "1/hour"
    assert [sign_in(owner).status_code for _ in range(2)] == [401, 429]


@pytest.mark.django_db
def test_who_has_a_session_gets_through(client: APIClient, admin_user: User, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "1/hour"
    flood_account(client, CEILING + 1)
    owner = APIClient()
    owner.force_login(admin_user)
    assert sign_in(owner, password="root", REMOTE_ADDR="192.0.2.7").status_code == 200


@pytest.mark.django_db
def test_only_a_sign_in_gives_a_cookie(client: APIClient, admin_user: User) -> None:
    assert "device" not in sign_in(client).cookies
    assert "device" not in client.get("/api/v1/").cookies
    form = {"username": "root@example.com", "password": "root"}
    assert client.post("/admin/login/", form, format="multipart").cookies["device"]["path"] == "/admin/login/"


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/admin/login/", "/api/v1/auth/session/login/"])
def test_the_pages_to_sign_in_count_too(page: str, client: APIClient, settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    body = {"username": "root@example.com", "password": "wrong"}
    answers = [client.post(page, body, format="multipart") for _ in range(3)]
    assert list_statuses(answers) == [200, 200, 429]
    assert sign_in(client).status_code == 429


RESET, CONFIRM = "/api/v1/auth/password/reset/", "/api/v1/auth/password/reset/confirm/"


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which a mail is on its way."""
    waiting: list[str] = []
    monkeypatch.setattr("accounts.auth_views.queue_mail", lambda email, _: waiting.append(email))
    return waiting


def test_a_mailbox_gets_few_mails_an_hour(client: APIClient, mailed: list[str], settings: Any) -> None:
    settings.RATE_LIMIT_LOGIN = "10/minute"
    places = [f"192.0.2.{n}" for n in range(8)]
    answers = [client.post(RESET, {"email": "mia@example.com"}, REMOTE_ADDR=place) for place in places]
    assert set(list_statuses(answers)) == {202}
    assert len(mailed) == 5


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{"email": "a@example.com"}, {"token": "1.x", "new": "17 sheep in a boat"}])
def test_who_has_forgotten_a_password_is_counted_too(
    body: dict[str, str], client: APIClient, mailed: list[str], settings: Any
) -> None:
    settings.RATE_LIMIT_LOGIN = "2/hour"
    path = RESET if "email" in body else CONFIRM
    assert [client.post(path, body).status_code for _ in range(3)][-1] == 429


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


@pytest.mark.django_db
def test_registrations_count_as_sign_ins_and_a_mailbox_gets_five_mails(
    client: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATE_LIMIT_LOGIN, settings.REGISTRATION = "10/hour", True
    queued: list[int] = []
    monkeypatch.setattr("accounts.registrations.queue_mail", lambda key, _: queued.append(key))
    body = {"email": "mia@example.com", "password": "17 sheep in a boat"}
    assert [client.post("/api/v1/auth/register/", body).status_code for _ in range(11)] == [202] * 10 + [429]
    assert len(queued) == 5
