"""Signing in and out, and the tokens of a caller: secrets are shown once, kept as digests, and end at once."""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts import tokens
from accounts.errors import TooManyTokens
from accounts.models import AuthToken, User
from accounts.tokens import issue_token
from config.api.access.scopes import SCOPES
from config.worker import Heartbeat
from tests.together import run_together

pytestmark = pytest.mark.django_db

LOGIN, LOGOUT, TOKENS = (f"/api/v1/auth/{name}/" for name in ("login", "logout", "tokens"))
RIGHT = {"email": "mia@example.com", "password": " a long, blank-ended one "}


@pytest.fixture
def mia() -> User:
    return User.objects.create_user(**RIGHT)


def sign_in(client: APIClient, **more: Any) -> dict[str, Any]:
    answer = client.post(LOGIN, RIGHT | more)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def bear(secret: str, scheme: str = "Token") -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {secret}")
    return client


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "bearer"])
def test_a_token_may_be_called_a_bearer(scheme: str, client: APIClient, mia: User) -> None:
    secret = sign_in(client)["token"]
    assert bear(secret, scheme).get("/api/v1/me/").json()["email"] == mia.email
    # Also where anybody may read: who means to be somebody is told that they aren't.
    for address in ("/api/v1/me/", "/api/v1/products/"):
        for wrong in ("wrong", "", "a b", "é"):
            refused = bear(wrong, scheme).get(address)
            assert (refused.status_code, refused.json()["code"]) == (401, "authentication_failed"), wrong


# -- signing in --------------------------------------------------------------------------------------------------


def test_a_login_gives_a_token_that_works(client: APIClient, mia: User) -> None:
    answer = sign_in(client, name="laptop")
    assert list(answer)[:5] == ["token", "id", "name", "created_at", "expires_at"]
    assert (answer["scopes"], answer["created_by"], answer["parent"]) == (list(SCOPES), "login", None)
    left = datetime.fromisoformat(answer["expires_at"]) - timezone.now()
    assert timedelta(days=89) < left <= timedelta(days=90)
    [listed] = bear(answer["token"]).get(TOKENS).json()["results"]
    assert listed == {name: value for name, value in answer.items() if name != "token"}
    mia.refresh_from_db()
    assert mia.last_login is not None


def test_the_address_may_be_written_in_any_case(client: APIClient, mia: User) -> None:
    assert sign_in(client, email="MIA@Example.COM")["name"] == "login"


def test_only_a_digest_is_kept(client: APIClient, mia: User) -> None:
    secret = sign_in(client)["token"]
    [row] = AuthToken.objects.values()
    assert secret not in str(row)
    assert secret[16:] not in str(row)


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ({"email": "nobody@example.com"}, {}),
        ({"password": "wrong"}, {}),
        ({"password": RIGHT["password"].strip()}, {}),
        ({}, {"is_active": False}),
        ({}, {"password": "!unusable"}),
    ],
    ids=["no such user", "wrong password", "without its blanks", "inactive", "no password"],
)
def test_a_refusal_tells_nothing_and_takes_the_same_work(
    change: dict[str, str], columns: dict[str, Any], client: APIClient, mia: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.filter(pk=mia.pk).update(**columns)
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *a: hashed.append("") or encode(self, *a))
    answer = client.post(LOGIN, RIGHT | change)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (401, "wrong_credentials")
    assert problem["detail"] == "The e-mail address or the password is wrong."
    assert answer["WWW-Authenticate"] == "Token"
    assert len(hashed) == 1
    assert not AuthToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/email", "required"),
        (RIGHT | {"password": None}, "/password", "null"),
        (RIGHT | {"pasword": "x"}, "/pasword", "unknown_member"),
        (RIGHT | {"email": ["x"]}, "/email", "invalid"),
        (RIGHT | {"name": "x" * 101}, "/name", "max_length"),
        ([], "", "invalid"),
    ],
)
def test_a_bad_body_is_named(body: Any, pointer: str, code: str, client: APIClient) -> None:
    problem = client.post(LOGIN, body).json()
    assert problem["status"] == 400
    assert {"pointer": pointer, "code": code} in [
        {key: fault[key] for key in ("pointer", "code")} for fault in problem["errors"]
    ]


def test_unknown_members_are_named_up_to_twenty(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr("config.api.problems.near._likeness", lambda word, name: compared.append(word) or 0.0)
    body = RIGHT | {f"pasword{number}": 1 for number in range(300)} | {"x" * 1_000: 1}
    problem = client.post(LOGIN, body).json()
    pointers = [fault["pointer"] for fault in problem["errors"]]
    assert pointers == [f"/pasword{number}" for number in range(20)] + [""]
    assert problem["errors"][-1]["detail"] == "281 more unknown members."
    assert len(set(compared)) == 20
    # A long name is no slip of the pen, and comparing it takes long.
    assert client.post(LOGIN, {"x" * 1_000: 1}).json()["errors"][0]["code"] == "unknown_member"
    assert len(set(compared)) == 20


def test_a_dead_token_does_not_keep_its_owner_from_signing_in(mia: User) -> None:
    sign_in(bear("0" * 64))


def test_answers_with_secrets_are_not_cached_and_not_compressed(client: APIClient, mia: User) -> None:
    # GZipMiddleware compresses from 200 bytes on.
    zipped = {"HTTP_ACCEPT_ENCODING": "gzip"}
    login = client.post(LOGIN, RIGHT, **zipped)
    caller = bear(login.json()["token"])
    made = caller.post(TOKENS, {"name": "n" * 100}, **zipped)
    listed = caller.get(TOKENS, **zipped)
    for answer in (login, made, listed):
        assert len(answer.content) > 200
        assert "Content-Encoding" not in answer
        assert answer["Cache-Control"] == "private, no-store"


def test_a_session_serves_the_browsable_api(client: APIClient, mia: User) -> None:
    page = client.get("/api/v1/auth/session/login/", HTTP_ACCEPT="text/html")
    assert page.status_code == 200
    form = {"username": "MIA@example.com", "password": RIGHT["password"]}
    assert client.post("/api/v1/auth/session/login/", form, format="multipart").status_code == 302
    assert client.get(TOKENS).json() == {"results": []}
    assert client.post(LOGOUT).status_code == 204
    assert client.get(TOKENS).status_code == 401


# -- signing out -------------------------------------------------------------------------------------------------


def test_a_logout_ends_this_token_and_no_other(client: APIClient, mia: User) -> None:
    one, two = bear(sign_in(client)["token"]), bear(sign_in(client)["token"])
    assert one.post(LOGOUT).status_code == 204
    assert one.get(TOKENS).status_code == 401
    assert one.get(TOKENS).json()["code"] == "authentication_failed"
    assert len(two.get(TOKENS).json()["results"]) == 1


def test_who_is_not_signed_in_can_not_sign_out(client: APIClient) -> None:
    assert client.post(LOGOUT).status_code == 401


# -- the list of tokens ------------------------------------------------------------------------------------------


@pytest.fixture
def caller(client: APIClient, mia: User) -> APIClient:
    return bear(sign_in(client)["token"])


def test_a_named_token_is_made_read_and_revoked(caller: APIClient) -> None:
    made = caller.post(TOKENS, {"name": "nightly export", "expires_at": future(days=7)})
    assert made.status_code == 201
    token = made.json()
    assert token["expires_at"] == future(days=7)
    secret = token.pop("token")
    assert caller.get(made["Location"]).json() == token
    other = bear(secret)
    assert other.get(TOKENS).status_code == 200
    assert caller.delete(made["Location"]).status_code == 204
    assert other.get(TOKENS).status_code == 401
    assert caller.get(made["Location"]).status_code == 404


def future(**left: int) -> str:
    moment = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(**left)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "soon", None])
def test_a_token_expires_within_a_year(expires_at: str | None, caller: APIClient) -> None:
    answer = caller.post(TOKENS, {"name": "x", "expires_at": expires_at})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/expires_at"


def test_an_expired_token_is_refused_and_not_listed(caller: APIClient, mia: User) -> None:
    token, secret = issue_token(mia, "old", timezone.now() - timedelta(seconds=1))
    assert bear(secret).get(TOKENS).json()["code"] == "authentication_failed"
    assert [row["name"] for row in caller.get(TOKENS).json()["results"]] == ["login"]
    assert caller.get(f"{TOKENS}{token.mark}/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_running_worker_deletes_what_has_expired(mia: User) -> None:
    for name, expiry in (("old", timedelta(days=-1)), ("new", timedelta(days=1))):
        AuthToken.objects.create(user=mia, name=name, expiry=expiry)
        Session.objects.create(session_key=name, session_data="", expire_date=timezone.now() + expiry)
    with Heartbeat():
        end = time.monotonic() + 30
        while AuthToken.objects.count() + Session.objects.count() > 2 and time.monotonic() < end:
            time.sleep(0.02)
    assert [token.name for token in AuthToken.objects.all()] == ["new"]
    assert [session.pk for session in Session.objects.all()] == ["new"]


def test_a_foreign_token_is_404_like_a_missing_one(caller: APIClient) -> None:
    other, secret = issue_token(User.objects.create_user("max@example.com", "x"), "theirs", later())
    for method in (caller.get, caller.delete):
        foreign, missing = method(f"{TOKENS}{other.mark}/"), method(f"{TOKENS}{'0' * 16}/")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
    assert bear(secret).get(TOKENS).status_code == 200


def later() -> datetime:
    return timezone.now() + timedelta(days=1)


@pytest.mark.parametrize("size", [1, 40])
def test_the_list_costs_two_queries(
    size: int, caller: APIClient, mia: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(size):
        issue_token(mia, f"t{number}", later())
    # 1. the token of the request with its user  2. the tokens
    with django_assert_num_queries(2):
        assert len(caller.get(TOKENS).json()["results"]) == size + 1


# -- how many there may be ---------------------------------------------------------------------------------------


@pytest.fixture
def three(settings: Any) -> None:
    settings.REST_KNOX = settings.REST_KNOX | {"TOKEN_LIMIT_PER_USER": 3}


def test_a_login_past_the_limit_replaces_its_oldest(client: APIClient, mia: User, three: None) -> None:
    kept = issue_token(mia, "nightly", later())[1]
    logins = [bear(sign_in(client)["token"]) for _ in range(3)]
    assert [login.get(TOKENS).status_code for login in logins] == [401, 200, 200]
    assert bear(kept).get(TOKENS).status_code == 200


def test_a_named_token_past_the_limit_is_refused(client: APIClient, mia: User, three: None) -> None:
    caller = bear(sign_in(client)["token"])
    issue_token(mia, "expired ones don't count", timezone.now() - timedelta(days=1))
    assert [caller.post(TOKENS, {"name": "more"}).status_code for _ in range(3)] == [201, 201, 409]
    problem = caller.post(TOKENS, {"name": "more"}).json()
    assert (problem["code"], problem["hint"]) == ("too_many_tokens", "Revoke one that you no longer need.")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_the_limit_holds_for_requests_at_once(three: None) -> None:
    mia = User.objects.create_user(**RIGHT)

    def issue() -> None:
        with suppress(TooManyTokens):
            tokens.issue_token(mia, "at once", later())

    run_together([issue] * 8)
    assert AuthToken.objects.count() == settings.REST_KNOX["TOKEN_LIMIT_PER_USER"]
