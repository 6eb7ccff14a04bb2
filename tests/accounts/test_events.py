"""The sign-in log: who did what to credentials, and from where; for oneself, in the admin, and for so many days."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import resets
from accounts.events import PURGED_AT_ONCE, Event
from accounts.models import AuthToken, User
from accounts.resets import make_token
from accounts.tokens import issue_token
from config.api.jobs.chores import CHORES

pytestmark = pytest.mark.django_db

AUTH = "/api/v1/auth/"
EVENTS = f"{AUTH}events/"
OLD, NEW = "a longer sentence", "17 sheep in a boat"
PLACE = {"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "curl/8"}


@pytest.fixture
def mia() -> User:
    return User.objects.create_user("mia@example.com", OLD)


@pytest.fixture
def caller(mia: User) -> APIClient:
    client = APIClient(**PLACE)
    _, secret = issue_token(mia, "test", timezone.now() + timedelta(days=1))
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    Event.objects.all().delete()
    return client


@pytest.fixture
def office(admin_user: User) -> Client:
    browser = Client(**PLACE)
    browser.force_login(admin_user)
    return browser


def list_kinds() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def sign_in(caller: APIClient) -> Any:
    return APIClient(**PLACE).post(f"{AUTH}login/", {"email": "mia@example.com", "password": OLD})


def fail(caller: APIClient) -> Any:
    return APIClient(**PLACE).post(f"{AUTH}login/", {"email": "MIA@example.com", "password": NEW})


def sign_in_by_page(caller: APIClient) -> Any:
    form = {"username": "mia@example.com", "password": OLD}
    browser = APIClient(**PLACE)
    browser.post(f"{AUTH}session/login/", form, format="multipart")
    return browser.post(f"{AUTH}logout/")


def make_and_revoke(caller: APIClient) -> Any:
    return caller.delete(caller.post(f"{AUTH}tokens/", {"name": "nightly"})["Location"])


def revoke_others(caller: APIClient) -> Any:
    issue_token(User.objects.get(email="mia@example.com"), "more", timezone.now() + timedelta(days=1))
    return caller.delete(f"{AUTH}tokens/")


def change_password(caller: APIClient) -> Any:
    return caller.post(f"{AUTH}password/", {"old": OLD, "new": NEW})


def guess_password(caller: APIClient) -> Any:
    return caller.post(f"{AUTH}password/", {"old": NEW, "new": NEW})


def reset_password(caller: APIClient) -> Any:
    user = User.objects.get(email="mia@example.com")
    return APIClient(**PLACE).post(f"{AUTH}password/reset/confirm/", {"token": make_token(user), "new": NEW})


def end_session(caller: APIClient) -> Any:
    APIClient(**PLACE).post(
        f"{AUTH}session/login/", {"username": "mia@example.com", "password": OLD}, format="multipart"
    )
    [row] = caller.get(f"{AUTH}sessions/").json()["results"]
    return caller.delete(f"{AUTH}sessions/{row['id']}/")


@pytest.mark.parametrize(
    ("act", "kinds"),
    [
        (sign_in, ["token_created", "signed_in"]),
        (fail, ["sign_in_failed"]),
        (sign_in_by_page, ["signed_in", "signed_out"]),
        (make_and_revoke, ["token_created", "token_revoked"]),
        (revoke_others, ["token_created", "token_revoked"]),
        (change_password, ["password_changed"]),
        (guess_password, ["sign_in_failed"]),
        (reset_password, ["password_changed"]),
        (end_session, ["signed_in", "session_ended"]),
        (lambda caller: caller.post(f"{AUTH}logout/"), ["token_revoked"]),
        (lambda caller: resets.mail_link.call("mia@example.com", "192.0.2.7"), ["reset_mailed"]),
    ],
)
def test_each_sign_in_and_change_is_an_event_of_its_user(
    act: Callable[[APIClient], Any], kinds: list[str], caller: APIClient, mia: User
) -> None:
    act(caller)
    events = list(Event.objects.order_by("pk"))
    assert [event.kind for event in events] == kinds
    assert {event.user for event in events} == {mia}
    assert {event.actor for event in events} == {None}
    assert events[-1].address == "192.0.2.7"
    # Nothing in it opens anything.
    texts = str(list(Event.objects.values()))
    assert OLD not in texts
    assert NEW not in texts
    assert all(token.digest not in texts for token in AuthToken.objects.all())


def test_the_typed_name_of_a_failed_sign_in_is_not_stored(mia: User) -> None:
    typed = "my password, in the wrong field"
    Client().post("/admin/login/", {"username": typed, "password": "x"})
    [event] = Event.objects.all()
    assert (event.kind, event.user, event.detail) == ("sign_in_failed", None, "")
    assert typed not in str(Event.objects.values())


def test_an_event_names_the_staff_user_who_did_it(office: Client, admin_user: User, mia: User) -> None:
    token, _ = issue_token(mia, "lost", timezone.now() + timedelta(days=1))
    group, right = Group.objects.create(name="Desk"), Permission.objects.get(codename="view_order")
    Event.objects.all().delete()
    secret = {"usable_password": "true", "password1": NEW, "password2": NEW}
    action = {"action": "revoke", "_selected_action": [token.token_key], "index": "0", "select_across": "0"}
    office.post("/admin/accounts/authtoken/", action)
    office.post(f"/admin/accounts/user/{mia.pk}/password/", secret)
    office.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Desk", "permissions": [right.pk]})
    office.post(f"/admin/accounts/user/{mia.pk}/change/", {"email": mia.email, "is_active": "on", "groups": [group.pk]})
    rows = Event.objects.order_by("pk").values_list("kind", "user", "actor", "address", "detail")
    about = (admin_user.pk, "192.0.2.7")
    assert list(rows) == [
        ("token_revoked", mia.pk, *about, f"lost ({token.mark})"),
        ("password_changed", mia.pk, *about, ""),
        ("permissions_changed", None, *about, "added: accounts.view_order (group Desk)"),
        ("groups_changed", mia.pk, *about, "added: Desk"),
    ]


def test_groups_are_followed_from_both_sides(mia: User) -> None:
    one, two = (Group.objects.create(name=name) for name in ("One", "Two"))
    mia.groups.set([one, two])
    mia.groups.remove(one)
    mia.groups.clear()
    two.user_set.add(mia)
    two.user_set.clear()
    mia.user_permissions.add(Permission.objects.get(codename="view_order"))
    details = list(Event.objects.order_by("pk").values_list("detail", flat=True))
    assert sorted(details[:2]) == ["added: One", "added: Two"]
    assert details[2:] == [
        "removed: One",
        "removed: Two",
        "added: Two",
        "removed: Two",
        "added: accounts.view_order",
    ]
    assert {event.user for event in Event.objects.all()} == {mia}


# -- who sees it -------------------------------------------------------------------------------------------------


def test_everybody_reads_their_own(caller: APIClient, mia: User) -> None:
    other = User.objects.create_user("max@example.com", "x")
    for user in (mia, other, None):
        Event.objects.record(Event.Kind.SIGN_IN_FAILED, user)
    [row] = caller.get(EVENTS).json()["results"]
    assert list(row) == ["id", "at", "kind", "actor", "address", "user_agent", "detail", "url"]
    assert caller.get(f"{EVENTS}{row['id']}/").json() == row
    foreign = Event.objects.get(user=other)
    assert caller.get(f"{EVENTS}{foreign.pk}/").status_code == 404


def test_the_list_has_pages_and_filters(caller: APIClient, mia: User) -> None:
    for _ in range(3):
        Event.objects.record(Event.Kind.SIGNED_IN, mia)
        Event.objects.record(Event.Kind.SIGN_IN_FAILED, mia)
    Event.objects.filter(pk=Event.objects.last().pk).update(at=timezone.now() - timedelta(days=2))
    page, seen = caller.get(EVENTS, {"page_size": 4}).json(), []
    seen += [row["id"] for row in page["results"]]
    seen += [row["id"] for row in caller.get(page["next"]).json()["results"]]
    assert seen == sorted(Event.objects.values_list("pk", flat=True), reverse=True)
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    for query, number in (
        ({"kind": "signed_in"}, 3),
        ({"since": yesterday}, 5),
        ({"until": yesterday}, 1),
        ({"kind": "signed_in", "until": yesterday}, 1),
    ):
        assert len(caller.get(EVENTS, query).json()["results"]) == number, query
    refused = caller.get(EVENTS, {"kind": "sign_in"}).json()
    assert "sign_in_failed" in refused["detail"]


def test_staff_read_it_and_change_nothing(office: Client, mia: User) -> None:
    Event.objects.record(Event.Kind.SIGN_IN_FAILED, mia)
    path = "/admin/accounts/event/"
    assert "mia@example.com" in office.get(path, {"kind__exact": "sign_in_failed"}).content.decode()
    event = Event.objects.get(user=mia)
    assert office.post(f"{path}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert office.post(f"{path}add/", {}).status_code == 403


# -- how long it is kept -----------------------------------------------------------------------------------------


def test_it_is_kept_as_long_as_changes(mia: User, settings: Any) -> None:
    settings.CHANGE_RETENTION_DAYS = 30
    for days in (29, 31):
        Event.objects.create(kind="signed_in", user=mia, at=timezone.now() - timedelta(days=days))
    assert PURGED_AT_ONCE > 1
    CHORES["purge sign-in events"].run()
    [event] = Event.objects.all()
    assert timezone.now() - event.at < timedelta(days=30)


def test_it_outlives_its_user(mia: User) -> None:
    Event.objects.record(Event.Kind.SIGNED_IN, mia)
    mia.delete()
    assert Event.objects.get().user is None
