"""`GET /api/v1/changes/stream/`: the rows of the feed, to the same callers, with the same errors."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import AuthToken, User
from catalog.changes.pushing import HUB
from catalog.models import Brand, Product
from config.api.freshness.leases import FRESHNESS
from config.api.push import hub as hubs
from config.api.push.hub import Hub
from config.api.push.responses import HOLDS_STREAMS, EventStream
from config.process.capacity import MOST_STREAMS
from tests.config.api.push.test_hub import Wire
from tests.conftest import JOIN
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/changes/stream/"
FEED = "/api/v1/changes/"


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub has no thread here, which wouldn't see the test's transaction."""
    monkeypatch.setattr(Hub, "join", JOIN)
    monkeypatch.setattr(HUB, "is_running", True)
    monkeypatch.setattr(FRESHNESS, "read", lambda: None)
    yield
    HUB.streams, HUB.count = [], 0


@pytest.fixture
def partner() -> User:
    """May export, and sees what everybody sees."""
    user = User.objects.create_user("partner@example.com", "partner")
    user.user_permissions.add(Permission.objects.get(codename="export_product"))
    return user


def make_client(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user=user)[1]}")
    return client


def listen(client: APIClient, query: Any = None, **headers: str) -> Wire:
    answer: Any = client.get(URL, query, **{HOLDS_STREAMS: "yes"}, **headers)
    assert answer.status_code == 200, answer.content
    wire = Wire()
    answer.held.attach(wire)
    HUB.turn()
    return wire


def read(wire: Wire) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in wire.text.split(b"\n") if line.startswith(b"data: ")]


def test_a_listener_gets_what_the_feed_has(partner: User) -> None:
    client = make_client(partner)
    make_product(sku="OLD")
    cursor = client.head(FEED)["X-Changes-Cursor"]
    wire = listen(client)
    assert wire.text == f"retry: 2000\nid: {cursor}\n\n".encode()
    make_product(sku="TEA-1")
    Brand.objects.all().delete()
    HUB.turn()
    feed = client.get(FEED, {"after": cursor, "page_size": 1000}).json()
    assert read(wire) == feed["results"]
    assert wire.ids[-1] == int(feed["next_cursor"])


def test_a_listener_resumes_after_its_last_event(partner: User) -> None:
    client = make_client(partner)
    first = make_brand()
    cursor = client.head(FEED)["X-Changes-Cursor"]
    make_brand()
    make_product(sku="TEA-1")
    all_of_it = listen(client, {"after": cursor})
    middle = str(all_of_it.ids[0])
    assert listen(client, {"after": cursor}, HTTP_LAST_EVENT_ID=middle).ids == all_of_it.ids[1:]
    assert first.pk not in [row["entity_id"] for row in read(all_of_it) if row["entity"] == "brand"]
    only = listen(client, {"after": cursor, "entity": "brand,variant"})
    assert {row["entity"] for row in read(only)} == {"brand", "variant"}


def test_drafts_look_deleted_and_the_right_is_read_anew(partner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = listen(make_client(partner), {"entity": "product"})
    product = make_product(sku="TEA-1")
    Product.objects.update(status="draft")
    HUB.turn()
    assert {(row["op"], row["sku"]) for row in read(wire)} == {("delete", None)}
    partner.user_permissions.add(Permission.objects.get(codename="view_product"))
    monkeypatch.setattr(hubs, "CHECK_SECONDS", -1.0)
    HUB.turn()
    Product.objects.filter(pk=product.pk).update(title="New")
    HUB.turn()
    assert (read(wire)[-1]["op"], read(wire)[-1]["sku"]) == ("update", "TEA-1")


def revoke(user: User) -> None:
    AuthToken.objects.filter(user=user).delete()


def take_right(user: User) -> None:
    user.user_permissions.clear()


def lock_out(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize(("take", "status"), [(revoke, 401), (take_right, 403), (lock_out, 401)])
def test_who_may_no_longer_listen_is_told(
    take: Any, status: int, partner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(partner)
    wire = listen(client)
    take(partner)
    monkeypatch.setattr(hubs, "CHECK_SECONDS", -1.0)
    HUB.turn()
    assert not wire.is_open
    assert (read(wire)[-1]["status"], client.get(URL).status_code) == (status, status)


def test_a_session_ends_its_stream(partner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = APIClient()
    client.force_login(partner)
    wire = listen(client)
    monkeypatch.setattr(hubs, "CHECK_SECONDS", -1.0)
    HUB.turn()
    assert wire.is_open
    client.logout()
    HUB.turn()
    assert not wire.is_open


def test_a_stranger_and_a_caller_without_the_right_get_no_stream(client: APIClient, db: None) -> None:
    assert client.get(URL).status_code == 401
    assert make_client(User.objects.create_user("shopper@example.com")).get(URL).status_code == 403
    assert HUB.count == 0


@pytest.mark.parametrize(
    ("query", "last", "code", "status"),
    [
        ("?after=-1", "", "invalid_parameter", 400),
        ("?since=-1d", "", "unknown_parameter", 400),
        ("?entity=tea", "", "invalid_parameter", 400),
        ("", "x", "invalid_header", 400),
        ("", "1" * 40, "invalid_header", 400),
        ("?after=999999999", "", "changes_gone", 410),
        ("", "999999999", "changes_gone", 410),
    ],
)
def test_what_is_wrong_is_said_before_the_stream_begins(
    query: str, last: str, code: str, status: int, staff: APIClient
) -> None:
    headers = {"HTTP_LAST_EVENT_ID": last} if last else {}
    answer = staff.get(URL + query, **headers)
    assert (answer.status_code, answer.json()["code"], HUB.count) == (status, code, 0)


def test_a_truncated_table_ends_the_stream(staff: APIClient, admin_user: User) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no TRUNCATE")
    wire = listen(make_client(admin_user))
    make_brand()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_image")
    HUB.turn()
    assert (read(wire)[-1]["code"], wire.is_open) == ("changes_gone", False)


def test_head_is_the_head_of_the_answer(staff: APIClient) -> None:
    answer = staff.head(URL)
    assert (answer.status_code, answer["Content-Type"], "Content-Length" in answer) == (200, "text/event-stream", False)
    assert (staff.head(f"{URL}?entity=tea").status_code, HUB.count) == (400, 0)


def test_no_event_waits_in_a_compressor_or_in_a_proxy(staff: APIClient) -> None:
    answer: Any = staff.get(URL, HTTP_ACCEPT_ENCODING="gzip, br", HTTP_ACCEPT="text/event-stream")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    assert not answer.has_header("Content-Encoding")
    assert (answer["X-Accel-Buffering"], answer["Cache-Control"]) == ("no", "private, no-store")
    answer.close()
    assert HUB.count == 0


def test_a_server_of_threads_gives_a_quarter_of_them(staff: APIClient, settings: Any) -> None:
    settings.WEB_THREADS = 8
    answers: list[Any] = [staff.get(URL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert (answers[2]["Retry-After"], answers[2].json()["code"]) == ("5", "too_many_streams")
    for answer in answers[:2]:
        assert isinstance(answer, EventStream)
        answer.close()
    assert HUB.count == 0
    assert MOST_STREAMS > 8


def test_a_thread_sends_what_the_hub_writes(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answer: Any = staff.get(URL)
    blocks = iter(answer)
    monkeypatch.setattr(HUB, "join", lambda stream: (HUB.arrived.put(stream), HUB.turn()))
    assert next(blocks).startswith(b"retry: 2000\nid: ")
    brand = make_brand()
    HUB.turn()
    assert json.loads(next(blocks).split(b"data: ")[1])["entity_id"] == brand.pk
    answer.close()
    HUB.turn()
    assert (list(blocks), HUB.count) == ([], 0)
