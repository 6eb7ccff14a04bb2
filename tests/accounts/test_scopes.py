"""Tokens that may do less than their user: scopes, networks, children; and when they were last used."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.db import IntegrityError, connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AuthToken, User
from accounts.tokens import issue_token
from accounts.usage import EVERY, USES, Uses
from config.api.access.scopes import SCOPES, is_within
from tests.factories import make_product

pytestmark = pytest.mark.django_db

TOKENS, ME, PRODUCTS = "/api/v1/auth/tokens/", "/api/v1/me/", "/api/v1/products/"
PASSWORD = "a longer sentence"

type Make = Callable[..., APIClient]


@pytest.fixture
def mia() -> User:
    return User.objects.create_user("mia@example.com", PASSWORD)


@pytest.fixture
def make(mia: User) -> Make:
    """A client with a token of Mia's; `client.token` is its row."""

    def make_client(days: int = 30, **limits: Any) -> APIClient:
        token, secret = issue_token(mia, "test", timezone.now() + timedelta(days=days), **limits)
        return bear(secret, token)

    return make_client


def bear(secret: str, token: AuthToken | None = None) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    client.token = token or AuthToken.objects.get(token_key=secret[:15])
    return client


def make_child(parent: APIClient, **body: Any) -> APIClient:
    answer = parent.post(TOKENS, {"name": "child"} | body)
    assert answer.status_code == 201, answer.content
    return bear(answer.json()["token"])


# -- scopes ------------------------------------------------------------------------------------------------------


def test_a_refusal_names_the_scope(make: Make) -> None:
    refused = make(scopes=["orders:read"]).post("/api/v1/orders/", {})
    assert (refused.status_code, refused["Content-Type"]) == (403, "application/problem+json")
    problem = refused.json()
    assert problem["code"] == "insufficient_scope"
    assert problem["detail"] == "This token may not do that. It needs the scope orders:write."


def test_a_token_of_an_older_release_has_every_scope(mia: User) -> None:
    # As a server of the former release writes it: without the new columns.
    _, secret = issue_token(mia, "old", timezone.now() + timedelta(days=1))
    digest = AuthToken.objects.values_list("digest", flat=True).get()
    columns = "digest, token_key, user_id, name, created, expiry"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE former AS SELECT * FROM accounts_authtoken")
        AuthToken.objects.all().delete()
        cursor.execute(f"INSERT INTO accounts_authtoken ({columns}) SELECT {columns} FROM former")
        cursor.execute("DROP TABLE former")
    old = bear(secret)
    assert old.token.digest == digest
    [row] = old.get(TOKENS).json()["results"]
    assert (row["scopes"], row["allowed_ips"], row["parent"]) == (list(SCOPES), [], None)


def test_a_session_makes_a_token_with_fewer_scopes(mia: User, client: APIClient) -> None:
    client.force_login(mia)
    made = client.post(TOKENS, {"name": "shop", "scopes": ["catalogue:read"], "allowed_ips": ["10.0.0.0/8"]})
    token = made.json()
    assert (token["scopes"], token["allowed_ips"]) == (["catalogue:read"], ["10.0.0.0/8"])
    assert (token["created_by"], token["parent"], token["last_used_at"]) == ("session", None, None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["catalog:read"]}, "/scopes/0"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": "accounts"}, "/scopes"),
        ({"allowed_ips": ["10.0.0.1", "10.0.0.1/8"]}, "/allowed_ips/1"),
        ({"allowed_ips": ["everywhere"]}, "/allowed_ips/0"),
        ({"allowed_ips": []}, "/allowed_ips"),
        ({"parent": "0" * 16}, "/parent"),
        ({"password": "wrong"}, "/password"),
    ],
)
def test_impossible_scopes_and_networks_are_named(body: dict[str, Any], pointer: str, make: Make) -> None:
    answer = make().post(TOKENS, {"name": "x"} | body)
    assert answer.status_code == 400
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert AuthToken.objects.count() == 1


def test_the_document_says_what_a_token_takes(client: APIClient) -> None:
    operations = client.get("/api/v1/schema/").json()["paths"]["/api/v1/products"]
    for method, scope in (("get", "catalogue:read"), ("post", "catalogue:write")):
        assert {"apiToken": []} in operations[method]["security"]
        assert operations[method]["description"].endswith(f"A token needs the scope `{scope}`.")
    assert "403" in operations["get"]["responses"]


def test_every_view_names_its_scope() -> None:
    assert [warning for warning in run_checks(tags=[Tags.urls]) if warning.id == "tenfold.W004"] == []


# -- at the gates ------------------------------------------------------------------------------------------------


def test_no_token_without_the_scope_reads_from_the_cache(make: Make) -> None:
    make_product()
    reader, other = make(scopes=["catalogue:read"]), make(scopes=["orders:read"])
    for _ in range(3):
        kept = reader.get(PRODUCTS)
    assert kept["X-Cache"] == "hit"
    assert other.get(PRODUCTS).json()["code"] == "insufficient_scope"


def test_networks_hold_at_the_cache(make: Make) -> None:
    make_product()
    caller = make(allowed_ips=["10.0.0.0/8"])
    for _ in range(3):
        kept = caller.get(PRODUCTS, REMOTE_ADDR="10.1.2.3")
    assert kept["X-Cache"] == "hit"
    refused = caller.get(PRODUCTS, REMOTE_ADDR="192.0.2.1")
    assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
    assert "192.0.2.1" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.0.0.1", True),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("unix:", False),
        ("", False),
    ],
)
def test_an_address_is_within_its_networks(address: str, is_in: bool) -> None:
    assert is_within(address, ["10.0.0.0/8", "2001:db8::/32"]) == is_in


# -- children ----------------------------------------------------------------------------------------------------


def test_a_child_has_at_most_the_scopes_networks_and_expiry_of_its_parent(make: Make) -> None:
    parent = make(days=1, scopes=["accounts", "orders:read"], allowed_ips=["127.0.0.0/8"])
    child = make_child(parent)
    assert child.token.scopes == ["accounts", "orders:read"]
    assert child.token.allowed_ips == ["127.0.0.0/8"]
    assert child.token.expiry == parent.token.expiry
    assert (child.token.parent, child.token.created_by) == (parent.token, f"token:{parent.token.mark}")
    later = (timezone.now() + timedelta(days=2)).isoformat()
    wider = {"scopes": ["orders:read", "exports"], "allowed_ips": ["127.0.0.1", "10.0.0.1"], "expires_at": later}
    refused = parent.post(TOKENS, {"name": "wide"} | wider)
    assert refused.status_code == 400
    assert {fault["code"] for fault in refused.json()["errors"]} == {"wider_than_parent"}
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/scopes/1", "/allowed_ips/1", "/expires_at"]


def test_a_token_with_all_scopes_makes_children_with_fewer(make: Make) -> None:
    child = make_child(make(), scopes=["accounts"], allowed_ips=["127.0.0.1"])
    assert child.get(ME).status_code == 200
    assert child.get(PRODUCTS).status_code == 403
    # Networks of both kinds, and wider ones, are no part of it.
    for network in ("::1", "127.0.0.0/8"):
        assert child.post(TOKENS, {"name": "x", "allowed_ips": [network]}).status_code == 400


def test_all_that_descend_from_a_token_end_with_it(make: Make) -> None:
    parent, other = make(), make()
    child = make_child(parent)
    grandchild = make_child(child)
    assert other.delete(f"{TOKENS}{parent.token.mark}/").status_code == 204
    assert [caller.get(ME).status_code for caller in (parent, child, grandchild, other)] == [401, 401, 401, 200]
    assert list(AuthToken.objects.all()) == [other.token]


def test_a_logout_ends_what_the_token_made(make: Make) -> None:
    parent = make()
    child = make_child(parent)
    parent.post("/api/v1/auth/logout/")
    assert child.get(ME).status_code == 401


def test_with_the_password_a_token_makes_an_independent_one(make: Make) -> None:
    maker = make(days=1, scopes=["accounts"])
    later = (timezone.now() + timedelta(days=20)).isoformat()
    other = make_child(maker, password=PASSWORD, expires_at=later, scopes=["exports", "accounts"])
    assert (other.token.parent, other.token.created_by) == (None, f"token:{maker.token.mark}")
    maker.token.delete()
    assert other.get(ME).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_child_of_a_token_that_is_gone_is_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = make()
    monkeypatch.setattr("accounts.tokens.refuse_wider", lambda *_: AuthToken.objects.all().delete())
    try:
        assert parent.post(TOKENS, {"name": "late"}).status_code == 401
    except IntegrityError:  # pragma: no cover
        pytest.fail("the row of a parent that is gone was written")
    assert not AuthToken.objects.exists()


# -- their last use ----------------------------------------------------------------------------------------------


def test_the_last_use_is_written_once_a_minute(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    caller, writes = make(), list[str]()
    monkeypatch.setattr(USES, "write", lambda digest, at, write=USES.write: writes.append(digest) or write(digest, at))
    for _ in range(3):
        caller.get(ME)
    USES.write_waiting()
    assert writes == [caller.token.digest]
    first = AuthToken.objects.get().last_used_at
    assert timezone.now() - first < timedelta(seconds=10)
    assert caller.get(TOKENS).json()["results"][0]["last_used_at"] is not None
    # Another process, which hasn't noted anything, reads from the row that a minute isn't over.
    USES.noted.clear()
    caller.get(ME)
    assert USES.waiting.empty()
    AuthToken.objects.update(last_used_at=first - EVERY)
    USES.noted.clear()
    caller.get(ME)
    USES.write_waiting()
    assert AuthToken.objects.get().last_used_at > first


def test_a_refused_token_counts_as_not_used(make: Make) -> None:
    make(scopes=["orders:read"]).get(ME)
    assert USES.waiting.empty()


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_the_last_use(make: Make) -> None:
    uses, caller = Uses(), make()
    uses.note(caller.token)
    end = time.monotonic() + 30
    while AuthToken.objects.get().last_used_at is None:
        assert time.monotonic() < end, "nobody wrote it"
        time.sleep(0.01)
