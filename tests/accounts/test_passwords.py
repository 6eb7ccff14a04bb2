"""A new password, by the old one or by a mail's link; what stays signed in, whoever sets it."""

import re
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import resets
from accounts.models import AuthToken, SessionOwner, User
from accounts.resets import make_token, reset_password
from accounts.tokens import issue_token

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth/"
PASSWORD, RESET, CONFIRM = f"{AUTH}password/", f"{AUTH}password/reset/", f"{AUTH}password/reset/confirm/"
OLD, NEW = "a longer sentence", "17 sheep in a boat"


@pytest.fixture
def mia() -> User:
    return User.objects.create_user("mia@example.com", OLD)


@pytest.fixture
def token(mia: User) -> APIClient:
    return bear(mia)


@pytest.fixture
def browser(mia: User) -> APIClient:
    client = APIClient()
    client.force_login(mia)
    return client


def bear(user: User, **limits: Any) -> APIClient:
    client = APIClient()
    row, secret = issue_token(user, "test", timezone.now() + timedelta(days=1), **limits)
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    client.row = row
    return client


def list_signed_in(*clients: APIClient) -> list[bool]:
    return [client.get("/api/v1/me/").status_code == HTTPStatus.OK for client in clients]


# -- by the old one ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keeps", "stay"),
    [
        ({}, [False, False, False, False]),
        ({"keep_this": True}, [True, False, False, False]),
        ({"keep_others": True}, [False, True, True, True]),
        ({"keep_this": True, "keep_others": True}, [True, True, True, True]),
    ],
)
@pytest.mark.parametrize("way", ["token", "browser"])
def test_a_new_password_ends_tokens_and_sessions_that_are_not_kept(
    way: str, keeps: dict[str, bool], stay: list[bool], mia: User, request: pytest.FixtureRequest
) -> None:
    this, other_token, child = request.getfixturevalue(way), bear(mia), None
    child = bear(mia, parent=other_token.row)
    other_browser = APIClient()
    other_browser.force_login(mia)
    everything = (this, other_token, child, other_browser)
    assert list_signed_in(*everything) == [True] * 4
    assert this.post(PASSWORD, {"old": OLD, "new": NEW} | keeps).status_code == 204
    assert list_signed_in(*everything) == stay
    mia.refresh_from_db()
    assert mia.check_password(NEW)


def test_a_child_that_stays_keeps_its_parents(mia: User) -> None:
    parent, other = bear(mia), bear(mia)
    child = bear(mia, parent=parent.row)
    assert child.post(PASSWORD, {"old": OLD, "new": NEW, "keep_this": True}).status_code == 204
    assert list_signed_in(child, parent, other) == [True, True, False]


def test_a_session_that_stays_has_another_key(browser: APIClient) -> None:
    stolen = APIClient()
    stolen.cookies["sessionid"] = browser.cookies["sessionid"].value
    browser.post(PASSWORD, {"old": OLD, "new": NEW, "keep_this": True})
    assert list_signed_in(browser, stolen) == [True, False]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"old": "wrong", "new": NEW}, "/old", "wrong_password"),
        ({"old": OLD, "new": "short"}, "/new", "password_too_short"),
        ({"old": OLD, "new": "12345678901"}, "/new", "password_entirely_numeric"),
        ({"old": OLD, "new": "mia@example.com"}, "/new", "password_too_similar"),
        ({"old": OLD}, "/new", "required"),
        ({"old": OLD, "new": NEW, "keep": True}, "/keep", "unknown_member"),
    ],
)
def test_a_refusal_names_the_member_and_changes_nothing(
    body: dict[str, Any], pointer: str, code: str, token: APIClient, mia: User
) -> None:
    problem = token.post(PASSWORD, body).json()
    assert problem["status"] == 400
    assert (pointer, code) in [(fault["pointer"], fault["code"]) for fault in problem["errors"]]
    mia.refresh_from_db()
    assert mia.check_password(OLD)
    assert list_signed_in(token) == [True]


# -- by anybody else ---------------------------------------------------------------------------------------------


def set_in_the_admin(user: User) -> None:
    office = Client()
    office.force_login(User.objects.create_superuser("root@example.com", "root"))
    body = {"usable_password": "true", "password1": NEW, "password2": NEW}
    assert office.post(f"/admin/accounts/user/{user.pk}/password/", body).status_code == 302


def set_in_the_shell(user: User) -> None:
    user.set_password(NEW)
    user.save()


def take_away(user: User) -> None:
    user.set_unusable_password()
    user.save()


@pytest.mark.parametrize(
    "change",
    [set_in_the_admin, set_in_the_shell, take_away, lambda user: reset_password(make_token(user), NEW)],
    ids=["admin", "shell", "taken away", "link"],
)
def test_whoever_sets_a_password_ends_tokens_and_sessions(
    change: Callable[[User], None], mia: User, token: APIClient, browser: APIClient
) -> None:
    change(mia)
    assert list_signed_in(token, browser) == [False, False]
    assert not mia.auth_token_set.exists()
    assert not mia.sessions.exists()


def test_a_user_who_sets_their_own_password_in_the_admin_stays_signed_in(mia: User, token: APIClient) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    office, other = Client(), APIClient()
    for client in (office, other):
        client.force_login(User.objects.get())
    body = {"usable_password": "true", "password1": NEW, "password2": NEW}
    assert office.post(f"/admin/accounts/user/{mia.pk}/password/", body).status_code == 302
    assert office.get("/admin/").status_code == 200
    assert list_signed_in(token, other) == [False, False]


def test_a_new_hash_of_the_same_password_ends_nothing(
    mia: User, token: APIClient, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MD5PasswordHasher, "must_update", lambda self, encoded: True)
    assert client.post(f"{AUTH}login/", {"email": mia.email, "password": OLD}).status_code == 200
    assert User.objects.get().password != mia.password
    assert list_signed_in(token) == [True]


# -- by a mail ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses for which a task waits."""
    waiting: list[str] = []
    monkeypatch.setattr("accounts.auth_views.queue_mail", lambda email, _: waiting.append(email))
    return waiting


def read_link() -> str:
    [message] = mail.outbox
    [link] = re.findall(r"^http\S+$", str(message.body), re.MULTILINE)
    return link


def test_the_answer_tells_nobody_who_has_an_account(client: APIClient, mia: User, asked: list[str]) -> None:
    answers = [client.post(RESET, {"email": email}) for email in ("mia@example.com", "nobody@example.com")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    # The request does the same for both: only the task looks.
    assert asked == ["mia@example.com", "nobody@example.com"]


def test_the_request_looks_nobody_up(
    client: APIClient, mia: User, asked: list[str], django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        client.post(RESET, {"email": mia.email})


def test_a_link_sets_one_password(client: APIClient, mia: User, token: APIClient, settings: Any) -> None:
    settings.PUBLIC_URL = "https://shop.example"
    resets.mail_link.call("MIA@example.com", "192.0.2.7")
    [message] = mail.outbox
    assert message.to == ["mia@example.com"]
    parts = urlsplit(read_link())
    assert f"{parts.scheme}://{parts.netloc}" == "https://shop.example"
    members = dict(parse_qsl(parts.query))
    assert client.post(CONFIRM, members | {"new": NEW}).status_code == 204
    mia.refresh_from_db()
    assert mia.check_password(NEW)
    assert list_signed_in(token) == [False]
    again = client.post(CONFIRM, members | {"new": OLD})
    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "invalid_token")


def test_the_link_stands_whole_in_the_mail_as_it_is_sent(mia: User, settings: Any) -> None:
    settings.PUBLIC_URL = "https://a-rather-long-name-of-a-shop.example.com"
    resets.mail_link.call(mia.email, "192.0.2.7")
    text = mail.outbox[0].message().as_string()
    assert read_link() in text.splitlines()
    assert len(read_link()) > 78


@pytest.mark.parametrize(
    "change",
    [
        {"email": "other@example.com"},
        {"is_active": False},
        {"last_login": timezone.now() + timedelta(days=1)},
        {"password": "!unusable"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_link_ends_when_the_password_or_address_changes(change: dict[str, Any], client: APIClient, mia: User) -> None:
    link = make_token(mia)
    User.objects.update(**change)
    assert client.post(CONFIRM, {"token": link, "new": NEW}).status_code == 400


def test_a_link_is_good_for_an_hour(client: APIClient, mia: User, settings: Any) -> None:
    link = make_token(mia)
    assert settings.PASSWORD_RESET_TIMEOUT == 3600
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert client.post(CONFIRM, {"token": link, "new": NEW}).status_code == 400


@pytest.mark.parametrize("link", ["", "1", "1.", "zzzzzzzzzzzzzz.x", "é.é", "1.abc-def", "-1.abc-def", "0" * 100])
def test_a_link_that_nobody_made_is_refused(link: str, client: APIClient, mia: User) -> None:
    refused = client.post(CONFIRM, {"token": link, "new": NEW})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/token"


def test_a_bad_password_leaves_the_link_as_it_was(client: APIClient, mia: User) -> None:
    link = make_token(mia)
    assert client.post(CONFIRM, {"token": link, "new": "short"}).json()["errors"][0]["pointer"] == "/new"
    assert client.post(CONFIRM, {"token": link, "new": NEW}).status_code == 204


@pytest.mark.parametrize("columns", [{"is_active": False}, {"password": "!unusable"}])
def test_who_may_not_sign_in_by_password_gets_no_mail(columns: dict[str, Any], mia: User) -> None:
    User.objects.update(**columns)
    for email in ("mia@example.com", "nobody@example.com"):
        resets.mail_link.call(email, "192.0.2.7")
    assert mail.outbox == []


# -- the page ----------------------------------------------------------------------------------------------------


def test_the_page_of_a_link_sets_a_password(mia: User) -> None:
    resets.mail_link.call(mia.email, "192.0.2.7")
    parts = urlsplit(read_link())
    browser = Client(enforce_csrf_checks=True)
    page = browser.get(f"{parts.path}?{parts.query}")
    assert (page.status_code, page["Referrer-Policy"]) == (200, "same-origin")
    assert "no-store" in page["Cache-Control"]
    form = dict(re.findall(r'name="(csrfmiddlewaretoken|token)" value="([^"]+)"', page.content.decode()))
    weak = browser.post(parts.path, form | {"new": "short"})
    assert (weak.status_code, "too short" in weak.content.decode()) == (400, True)
    done = browser.post(parts.path, form | {"new": NEW})
    assert "Your password is set" in done.content.decode()
    assert User.objects.get().check_password(NEW)
    used = browser.get(f"{parts.path}?{parts.query}")
    assert (used.status_code, "used already" in used.content.decode()) == (400, True)
    assert "<form" not in used.content.decode()


def test_the_page_without_a_link_says_so() -> None:
    page = Client().get("/password/reset/")
    assert (page.status_code, "damaged" in page.content.decode()) == (400, True)


# -- sessions ----------------------------------------------------------------------------------------------------

SESSIONS = f"{AUTH}sessions/"


def test_sessions_are_listed_and_ended(mia: User, token: APIClient) -> None:
    browsers = [APIClient(REMOTE_ADDR=f"192.0.2.{n}", HTTP_USER_AGENT=f"Browser {n}") for n in range(2)]
    form = {"username": mia.email, "password": OLD}
    for browser in browsers:
        assert browser.post(f"{AUTH}session/login/", form, format="multipart").status_code == 302
    rows = browsers[0].get(SESSIONS).json()["results"]
    assert [(row["address"], row["user_agent"], row["current"]) for row in rows] == [
        ("192.0.2.1", "Browser 1", False),
        ("192.0.2.0", "Browser 0", True),
    ]
    assert [row["current"] for row in token.get(SESSIONS).json()["results"]] == [False, False]
    assert all(key not in str(rows) for key in Session.objects.values_list("pk", flat=True))
    assert browsers[0].delete(f"{SESSIONS}{rows[0]['id']}/").status_code == 204
    assert token.delete(f"{SESSIONS}{rows[0]['id']}/").status_code == 404
    assert list_signed_in(*browsers) == [True, False]


def test_a_foreign_session_is_404_like_a_missing_one(token: APIClient) -> None:
    other = APIClient()
    other.force_login(User.objects.create_user("max@example.com", "x"))
    foreign = SessionOwner.objects.get()
    for number in (foreign.pk, foreign.pk + 1):
        assert token.get(f"{SESSIONS}{number}/").status_code == 404
        assert token.delete(f"{SESSIONS}{number}/").status_code == 404
    assert token.get(SESSIONS).json()["results"] == []
    assert list_signed_in(other) == [True]


def test_a_logout_leaves_no_session_in_the_list(browser: APIClient, token: APIClient) -> None:
    browser.post(f"{AUTH}logout/")
    assert token.get(SESSIONS).json()["results"] == []


# -- all other tokens --------------------------------------------------------------------------------------------


def test_all_tokens_but_this_and_its_line_are_revoked(mia: User, browser: APIClient) -> None:
    parent, other, foreign = bear(mia), bear(mia), bear(User.objects.create_user("max@example.com", "x"))
    this = bear(mia, parent=parent.row)
    own = bear(mia, parent=this.row)
    assert this.delete(f"{AUTH}tokens/").status_code == 204
    assert list_signed_in(this, parent, other, own, foreign, browser) == [True, True, False, False, True, True]
    assert browser.delete(f"{AUTH}tokens/").status_code == 204
    assert list(AuthToken.objects.all()) == [foreign.row]
