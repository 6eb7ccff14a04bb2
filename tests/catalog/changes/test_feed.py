"""`GET /api/v1/changes/`: every change once, in the order of the commits, to whoever may export."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.log import number_changes, purge_changes
from catalog.models import Brand, Change, Image, Product, Variant
from config.api.reads import filtering
from tests.catalog.changes.test_positions import BRANDS, WRITERS, write_transactions
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/changes/"


@pytest.fixture
def partner(db: None) -> APIClient:
    """May export, and sees what everybody sees."""
    user = User.objects.create_user("partner@example.com", "partner")
    user.user_permissions.add(Permission.objects.get(codename="export_product"))
    client = APIClient()
    client.force_authenticate(user)
    return client


def find_newest(client: APIClient) -> str:
    answer = client.head(URL)
    assert (answer.status_code, answer.streaming, "Content-Length" in answer) == (200, True, False)
    return answer["X-Changes-Cursor"]


def walk(client: APIClient, **query: Any) -> Iterator[dict[str, Any]]:
    page = client.get(URL, query).json()
    yield from page["results"]
    while page["next"]:
        cursor, page = page["next_cursor"], client.get(page["next"]).json()
        assert int(page["next_cursor"]) > int(cursor), "a page leads on"
        yield from page["results"]


def list_lines(changes: Any) -> list[tuple[str, int, str]]:
    return [(change["entity"], change["entity_id"], change["op"]) for change in changes]


def test_a_follower_sees_what_was_written_since_its_cursor(staff: APIClient) -> None:
    product = make_product(title="Old", sku="TEA-1")
    cursor = find_newest(staff)
    Product.objects.update(title="New")
    Image.objects.all().delete()
    answer = staff.get(URL, {"after": cursor})
    changes = answer.json()["results"]
    product.refresh_from_db()
    # The picture that is shown is the product's, so there are two changes of it.
    of_product = [change for change in changes if change["entity"] == "product"]
    assert list_lines(of_product) == [("product", product.pk, "update")] * 2
    last = of_product[-1]
    assert (last["version"], last["sku"], last["at"][-1]) == (product.version, "TEA-1", "Z")
    [image] = [change for change in changes if change["entity"] == "image"]
    assert (image["op"], image["version"], image["sku"]) == ("delete", 1, None)
    assert list(image) == ["position", "entity", "entity_id", "op", "version", "at", "sku"]
    assert answer.json()["next"] is None
    assert answer.json()["next_cursor"] == answer["X-Changes-Cursor"] == str(changes[-1]["position"])
    assert answer["Cache-Control"] == "private, no-store"
    assert staff.get(URL, {"after": answer.json()["next_cursor"]}).json()["results"] == []


def test_a_walk_by_small_pages_sees_each_change_once(staff: APIClient) -> None:
    cursor = find_newest(staff)
    for _ in range(3):
        make_product(variants=2, images=2)
    number_changes()
    wanted = list(
        Change.objects.filter(position__gt=int(cursor)).order_by("position").values_list("position", flat=True)
    )
    assert [change["position"] for change in walk(staff, after=cursor, page_size=4)] == wanted
    assert staff.get(URL, {"after": cursor, "page_size": 4})["Link"].endswith('rel="next"')


def test_a_page_costs_three_queries(staff: APIClient, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(5):
        make_product(variants=2, images=2)
    number_changes()
    # 1. on PostgreSQL the numberer, 2. from where to where the log goes, 3. the page
    with django_assert_num_queries(3 if connection.vendor == "postgresql" else 2):
        assert len(staff.get(URL, {"page_size": 40}).json()["results"]) == 40


def test_entity_narrows_and_a_window_without_a_hit_leads_on(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.changes.feed.WINDOW", 5)
    cursor = find_newest(staff)
    for _ in range(3):
        make_product(variants=2)
    brand = make_brand("Acme")
    first = staff.get(URL, {"after": cursor, "entity": "brand,category"}).json()
    assert (first["results"], first["next_cursor"]) == ([], str(int(cursor) + 5))
    assert list_lines(walk(staff, after=cursor, entity="brand,category")) == [("brand", brand.pk, "create")]


def test_since_and_until_go_by_the_time_of_the_change(staff: APIClient) -> None:
    moments = []
    for number in range(3):
        make_brand(f"Brand {number}")
        number_changes()
        time.sleep(0.005)  # SQLite's times have milliseconds
        moments.append(timezone.now().isoformat())
        time.sleep(0.005)
    keys = list(Brand.objects.order_by("pk").values_list("pk", flat=True))

    def find(**query: str) -> list[int]:
        return [change["entity_id"] for change in walk(staff, **query)]

    assert find(since=moments[0]) == keys[1:]
    assert find(since=moments[0], until=moments[1]) == keys[1:2]
    assert find(until=moments[1], entity="brand")[-2:] == keys[:2]
    assert find(since=moments[2]) == []


# -- what can't be followed ----------------------------------------------------------------------------------------


def assert_gone(answer: Any) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (410, "changes_gone")
    assert "full export" in problem["hint"]


def test_a_cursor_that_the_log_no_longer_reaches_is_gone(staff: APIClient) -> None:
    cursor = int(find_newest(staff))
    for number in range(3):
        make_brand(f"Brand {number}")
    number_changes()
    purge_changes(timezone.now() + timedelta(days=1))
    newest = int(find_newest(staff))
    assert_gone(staff.get(URL, {"after": cursor}))
    assert_gone(staff.get(URL, {"since": "2020-01-01T00:00:00Z"}))
    assert_gone(staff.get(URL, {"after": newest + 1}))
    # Who has seen the change before the oldest that is kept has missed nothing.
    assert [change["position"] for change in walk(staff, after=newest - 1)] == [newest]
    assert [change["position"] for change in walk(staff)] == [newest]


@pytest.mark.django_db(transaction=True)
def test_a_truncated_table_ends_what_can_be_followed(staff: APIClient) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("TRUNCATE is PostgreSQL's")
    make_product()
    cursor, since = find_newest(staff), timezone.now()
    with connection.cursor() as database:
        database.execute("TRUNCATE catalog_image")
    assert_gone(staff.get(URL, {"after": cursor}))
    assert_gone(staff.get(URL, {"since": since.isoformat()}))
    brand = make_brand("Acme")
    assert list_lines(walk(staff)) == [("brand", brand.pk, "create")]
    assert list_lines(walk(staff, after=int(cursor) + 1)) == [("brand", brand.pk, "create")]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("after=x", "invalid_parameter"),
        ("after=", "invalid_parameter"),
        ("after=-1", "invalid_parameter"),
        ("page_size=1001", "invalid_parameter"),
        ("entity=products", "invalid_parameter"),
        ("since=yesterday", "invalid_parameter"),
        ("cursor=1", "unknown_parameter"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, code: str, staff: APIClient) -> None:
    answer = staff.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["errors"][0]["pointer"] == f"?{query.partition('=')[0]}"


# -- who ---------------------------------------------------------------------------------------------------------


def test_only_who_may_export_may_follow(client: APIClient, partner: APIClient) -> None:
    assert client.get(URL).status_code == 401
    client.force_authenticate(User.objects.create_user("mia@example.com", "mia"))
    assert client.get(URL).status_code == 403
    assert partner.get(URL).status_code == 200


def test_a_product_that_becomes_inactive_is_a_delete_for_callers_who_see_only_active_ones(
    staff: APIClient, partner: APIClient
) -> None:
    product, draft = make_product(), make_product(status="draft")
    variant = product.variants.get()
    cursor = find_newest(partner)
    Product.objects.filter(pk=product.pk).update(status="archived")
    Variant.objects.update(weight=5)
    own = [
        change
        for change in walk(partner, after=cursor)
        if change["entity_id"] == product.pk or change["entity"] != "product"
    ]
    assert list_lines(own) == [("product", product.pk, "delete")]
    assert own[0]["sku"] is None
    assert draft.sku not in {change["sku"] for change in walk(partner, after=cursor)}
    assert ("variant", variant.pk, "update") in list_lines(walk(staff, after=cursor))
    assert ("product", product.pk, "delete") not in list_lines(walk(staff, after=cursor))
    Product.objects.filter(pk=product.pk).update(status="active")
    assert list_lines(walk(partner, after=find_newest(partner), entity="product")) == []
    assert list_lines(walk(partner, after=cursor, entity="product"))[-1] == ("product", product.pk, "update")


# -- together ----------------------------------------------------------------------------------------------------


def follow(user: User, after: str, is_over: Event) -> list[tuple[int, int]]:
    """`(brand, version)` as a client sees them, until it has read on after the last writer."""
    client, seen = APIClient(), []
    client.force_authenticate(user)
    try:
        while True:
            was_over = is_over.is_set()
            page = client.get(URL, {"after": after, "page_size": 20}).json()
            seen += [(change["entity_id"], change["version"]) for change in page["results"]]
            after = page["next_cursor"]
            if was_over and page["next"] is None:
                return seen
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_follower_among_twenty_writers_sees_each_change_once(admin_user: User, staff: APIClient) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    for number in range(BRANDS):
        make_brand(f"Brand {number}")
    start, is_over = find_newest(staff), Event()
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        followers: list[Future[Any]] = [pool.submit(follow, admin_user, start, is_over) for _ in range(2)]
        for writer in [pool.submit(write_transactions, seed + number) for number in range(WRITERS)]:
            writer.result(timeout=120)
        is_over.set()
        seen = [follower.result(timeout=60) for follower in followers]
    wanted = {pk: list(range(2, version + 1)) for pk, version in Brand.objects.values_list("pk", "version")}
    for each in seen:
        assert {pk: [version for brand, version in each if brand == pk] for pk in wanted} == wanted


def test_a_row_that_the_feed_has_just_named_is_no_older_in_any_cache(
    partner: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHE_LEASE_MS = 200
    make_product()
    began = time.monotonic()
    assert partner.get(URL).json()["results"]
    assert time.monotonic() - began >= 0.2
    monkeypatch.setattr("catalog.changes.views.HEARD_AFTER", timedelta(0))
    settings.CACHE_LEASE_MS = 10_000
    began = time.monotonic()
    partner.get(URL)
    assert time.monotonic() - began < 10


# -- members, windows and long pages -------------------------------------------------------------------------------


def test_fields_names_the_members_of_a_change(partner: APIClient) -> None:
    make_brand("Acme")
    [row] = partner.get(f"{URL}?fields=op&fields=entity").json()["results"]
    assert row == {"entity": "brand", "op": "create"}
    problem = partner.get(f"{URL}?fields=entiti").json()
    assert (problem["code"], problem["hint"]) == ("invalid_parameter", "Did you mean entity or entity_id?")


@pytest.mark.parametrize(("since", "seen"), [("-7d", True), ("-1h", True), ("-30s", False)])
def test_since_may_be_a_duration_before_now(since: str, seen: bool, partner: APIClient) -> None:
    make_brand("Acme")
    if connection.vendor == "postgresql":
        number_changes()
    moment = timezone.now() + timedelta(minutes=1)
    with patch.object(filtering.timezone, "now", lambda: moment):
        assert bool(partner.get(URL, {"since": since}).json()["results"]) is seen
    assert partner.get(URL, {"since": "-7y"}).json()["code"] == "invalid_parameter"


def test_a_page_of_the_feed_may_have_a_thousand_changes(partner: APIClient) -> None:
    Brand.objects.bulk_create(Brand(name=f"B{number}", slug=f"b{number}") for number in range(300))
    assert len(partner.get(URL, {"page_size": 1_000}).json()["results"]) == 300
    assert partner.get(URL, {"page_size": 1_001}).status_code == 400
