"""Customers register themselves: by a link in a mail, with the same answer for every address."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core import mail
from django.test import Client
from rest_framework.test import APIClient

from accounts import registrations
from accounts.events import Event
from accounts.models import Registration, User
from accounts.registrations import make_token, sweep_registrations
from tests.factories import make_user

pytestmark = pytest.mark.django_db

REGISTER, CONFIRM, LOGIN = (f"/api/v1/auth/{name}/" for name in ("register", "register/confirm", "login"))
PASSWORD = "17 sheep in a boat"
MIA = {"email": "Mia@Example.com", "password": PASSWORD}


@pytest.fixture(autouse=True)
def open_shop(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Registrations are on. The list has the arguments of the queued tasks."""
    settings.REGISTRATION = True
    queued: list[tuple[int, str]] = []
    monkeypatch.setattr(registrations, "queue_mail", lambda *given: queued.append(given))
    return queued


@pytest.fixture
def queued(open_shop: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return open_shop


@pytest.fixture
def client() -> APIClient:
    return APIClient()


def send_mails(queued: list[tuple[int, str]]) -> list[str]:
    """Run the queued tasks. The texts of the mails."""
    while queued:
        registrations.mail_confirmation.call(*queued.pop(0))
    return [str(message.body) for message in mail.outbox]


def read_link(text: str) -> dict[str, str]:
    [link] = re.findall(r"http\S+\?token=\S+", text)
    return dict(parse_qsl(urlsplit(link).query))


def test_a_customer_registers_confirms_and_signs_in(client: APIClient, queued: Any) -> None:
    asked = client.post(REGISTER, MIA | {"first_name": "Mia"})
    assert asked.status_code == 202, asked.content
    assert not User.objects.exists()
    early = client.post(LOGIN, {"email": "mia@example.com", "password": PASSWORD})
    assert (early.status_code, early.json()["code"]) == (401, "not_confirmed")
    [text] = send_mails(queued)
    assert mail.outbox[0].to == ["Mia@example.com"]
    assert client.post(CONFIRM, read_link(text) | {"password": PASSWORD}).status_code == 204
    user = User.objects.get()
    assert (user.email, user.first_name, user.is_staff, user.is_active) == ("Mia@example.com", "Mia", False, True)
    assert client.post(LOGIN, {"email": "MIA@example.com", "password": PASSWORD}).status_code == 200
    assert Event.objects.filter(user=user, kind="registered").count() == 1
    again = client.post(CONFIRM, read_link(text) | {"password": PASSWORD})
    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "invalid_token")


def test_known_and_unknown_addresses_are_answered_alike(
    client: APIClient, queued: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    make_user(email="mia@example.com")
    hashed: list[str] = []
    monkeypatch.setattr(registrations, "make_password", lambda text: hashed.append(text) or "!")
    answers = []
    for email in ("MIA@example.com", "max@example.com"):
        # 1. the registration
        with django_assert_num_queries(1):
            answers.append(client.post(REGISTER, {"email": email, "password": PASSWORD}))
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert hashed == [PASSWORD] * 2
    known, unknown = send_mails(queued)
    assert "You have an account already" in known
    assert "token=" not in known
    assert read_link(unknown)


def test_a_failed_sign_in_hashes_as_often_with_and_without_a_registration(
    client: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 10)
    make_user(email="known@example.com")
    client.post(REGISTER, MIA)
    counts, encode = [], PBKDF2PasswordHasher.encode

    def count(*given: Any) -> str:
        counts[-1] += 1
        return encode(*given)

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", count)
    for email in ("known@example.com", "mia@example.com", "nobody@example.com"):
        counts.append(0)
        answer = client.post(LOGIN, {"email": email, "password": "wrong"})
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")
    assert counts == [2, 2, 2]


def test_another_password_does_not_confirm(client: APIClient, queued: Any) -> None:
    # Whoever opens the link of a registration that somebody else made for their address can't know its password.
    client.post(REGISTER, MIA)
    [text] = send_mails(queued)
    answer = client.post(CONFIRM, read_link(text) | {"password": "another password"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "wrong_password")
    assert not User.objects.exists()


def test_each_registration_has_its_own_password_and_the_first_confirmed_wins(client: APIClient) -> None:
    client.post(REGISTER, MIA)
    client.post(REGISTER, {"email": "mia@example.com", "password": "19 sheep in a boat"})
    first, second = map(make_token, Registration.objects.order_by("pk"))
    assert client.post(CONFIRM, {"token": first, "password": PASSWORD}).status_code == 204
    assert not Registration.objects.exists()
    assert client.post(CONFIRM, {"token": second, "password": "19 sheep in a boat"}).status_code == 400
    assert User.objects.get().check_password(PASSWORD)


def test_an_address_that_was_taken_meanwhile_is_a_conflict(client: APIClient) -> None:
    client.post(REGISTER, MIA)
    make_user(email="mia@EXAMPLE.com")
    answer = client.post(CONFIRM, {"token": make_token(Registration.objects.get()), "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (409, "address_taken")


def test_an_old_link_is_said_to_be_old_and_a_chore_deletes_what_is_over(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post(REGISTER, MIA)
    link = make_token(Registration.objects.get())
    assert sweep_registrations() == 0
    monkeypatch.setattr(registrations, "LIFETIME", timedelta(seconds=-1))
    assert client.post(LOGIN, MIA).json()["code"] == "wrong_credentials"
    answer = client.post(CONFIRM, {"token": link, "password": PASSWORD})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "expired_token")
    assert "POST auth/register/" in answer.json()["hint"]
    assert sweep_registrations() == 1


@pytest.mark.parametrize("link", ["", "1", "1.x", "1.x.y", "é.é", "0" * 100])
def test_a_link_that_nobody_made_is_refused(link: str, client: APIClient) -> None:
    client.post(REGISTER, MIA)
    refused = client.post(CONFIRM, {"token": link, "password": PASSWORD})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/token"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"password": "short"}, "/password"),
        ({"password": "mia@example.com"}, "/password"),
        ({"email": "mia"}, "/email"),
        ({"email": "mi\u200ba@example.com"}, "/email"),
        ({"is_staff": True}, "/is_staff"),
    ],
)
def test_what_breaks_a_rule_is_named(change: dict[str, Any], pointer: str, client: APIClient) -> None:
    answer = client.post(REGISTER, MIA | change)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)
    assert not Registration.objects.exists()


def test_it_is_off_by_default(client: APIClient, settings: Any) -> None:
    client.post(REGISTER, MIA)
    settings.REGISTRATION = False
    link = {"token": make_token(Registration.objects.get()), "password": PASSWORD}
    for answer in (client.post(REGISTER, MIA), client.post(CONFIRM, link)):
        assert (answer.status_code, answer.json()["code"]) == (404, "registration_off")
    assert client.post(LOGIN, MIA).json()["code"] == "wrong_credentials"
    assert Client().get("/register/confirm/").status_code == 404


def test_the_page_of_a_link_confirms(client: APIClient, queued: Any) -> None:
    client.post(REGISTER, MIA)
    token = read_link(send_mails(queued)[0])["token"]
    browser = Client(enforce_csrf_checks=True)
    page = browser.get("/register/confirm/", {"token": token})
    assert (page.status_code, "no-store" in page["Cache-Control"]) == (200, True)
    form = dict(re.findall(r'name="(csrfmiddlewaretoken|token)" value="([^"]+)"', page.content.decode()))
    wrong = browser.post("/register/confirm/", form | {"password": "x"})
    assert (wrong.status_code, "another password" in wrong.content.decode()) == (400, True)
    done = browser.post("/register/confirm/", form | {"password": PASSWORD})
    assert "Your address is confirmed" in done.content.decode()
    assert User.objects.get().check_password(PASSWORD)
    used = browser.get("/register/confirm/", {"token": token})
    assert (used.status_code, "used already" in used.content.decode()) == (400, True)


def test_staff_see_who_waits_and_no_password(client: APIClient, admin_client: Client) -> None:
    client.post(REGISTER, MIA)
    waiting = Registration.objects.get()
    for path in ("", f"{waiting.pk}/change/"):
        page = admin_client.get(f"/admin/accounts/registration/{path}").content.decode()
        assert waiting.email in page
        assert waiting.password.rsplit("$", 1)[-1] not in page
