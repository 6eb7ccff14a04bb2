"""Tokens that staff make for themselves in the admin: with limits, and a secret that is shown once."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuthToken, User
from tests.factories import make_user

pytestmark = pytest.mark.django_db

PAGE = "/admin/accounts/authtoken/mine/"
FORM = {"name": "till", "networks": "", "days": "30"}


@pytest.fixture
def clerk() -> User:
    """Somebody without any permission but the admin's door."""
    return make_user(is_staff=True)


@pytest.fixture
def desk(clerk: User) -> Client:
    browser = Client()
    browser.force_login(clerk)
    return browser


def make(browser: Client, **values: Any) -> str:
    """The secret; "" where none is shown."""
    page = browser.post(PAGE, FORM | values).content.decode()
    found = re.search(r'<code id="secret"[^>]*>([^<]+)<', page)
    return found[1] if found else ""


def test_a_token_for_oneself_has_limits_and_shows_its_secret_once(desk: Client, clerk: User) -> None:
    secret = make(desk, scopes=["catalogue:read"], networks="192.0.2.0/24\n2001:db8::/32")
    token = AuthToken.objects.get()
    assert (token.user, token.name, token.scopes) == (clerk, "till", ["catalogue:read"])
    assert (token.allowed_ips, token.created_by) == (["192.0.2.0/24", "2001:db8::/32"], "session")
    assert token.expiry is not None
    assert timedelta(days=29) < token.expiry - timezone.now() <= timedelta(days=30)
    answer = desk.get(PAGE)
    assert "till" in answer.content.decode()
    assert secret not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert desk.get("/admin/").content.decode().count(PAGE) >= 1


def test_the_secret_signs_in_and_a_revoked_token_doesnt(desk: Client, clerk: User) -> None:
    secret = make(desk)
    caller = APIClient(HTTP_AUTHORIZATION=f"Token {secret}")
    assert caller.get("/api/v1/me/").json()["email"] == clerk.email
    other = make_user()
    AuthToken.objects.create(user=other)
    for token in AuthToken.objects.all():
        desk.post(PAGE, {"revoke": token.mark})
    desk.post(PAGE, {"revoke": ""})
    assert [token.user_id for token in AuthToken.objects.all()] == [other.pk]
    assert caller.get("/api/v1/me/").status_code == 401


@pytest.mark.parametrize(
    "values",
    [{"name": " "}, {"name": "a\u202eb"}, {"days": "0"}, {"days": "367"}, {"scopes": ["all"]}, {"networks": "here"}],
    ids=str,
)
def test_what_the_api_refuses_is_refused_here(values: dict[str, Any], desk: Client) -> None:
    assert not make(desk, **values)
    assert not AuthToken.objects.exists()


def test_one_token_too_many_is_refused_with_a_sentence(desk: Client, settings: Any) -> None:
    settings.REST_KNOX = settings.REST_KNOX | {"TOKEN_LIMIT_PER_USER": 1}
    assert make(desk)
    assert "token" in re.sub(r"<[^>]+>", "", desk.post(PAGE, FORM).content.decode())
    assert AuthToken.objects.count() == 1


def test_customers_have_no_such_page() -> None:
    browser = Client()
    browser.force_login(make_user())
    assert browser.post(PAGE, FORM).status_code == 302
    assert not AuthToken.objects.exists()
