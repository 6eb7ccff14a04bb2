"""Feeds: a saved export, made again and again, at an address that stays; and what changed in it since."""

import gzip
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.http import http_date
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.feed import read_cursor
from catalog.changes.log import purge_changes
from catalog.models import Brand, Product, Stock, Variant
from config.redaction import redact
from exports.feeds import serializers
from exports.feeds.building import make_feeds
from exports.models import ExportJob, Feed
from tests.exports.conftest import list_files, read_body, run_job
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/feeds/"
BODY = {"resource": "products", "format": "csv", "fields": "sku"}


def save(caller: APIClient, **values: Any) -> dict[str, Any]:
    answer = caller.post(URL, BODY | values)
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def make(feed: dict[str, Any]) -> ExportJob | None:
    """What workers do at their heartbeats until the feed's file is there; its job, None if there is nothing to do."""
    make_feeds()
    row = Feed.objects.get(pk=feed["id"])
    if row.next_job_id is None:
        return None
    job = run_job(row.next_job_id)
    make_feeds()
    return job


def make_due() -> None:
    Feed.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def fetch(url: str, **headers: str) -> Any:
    """As Merchant Center does: without a token."""
    return APIClient().get(url.removeprefix("http://127.0.0.1:8000"), headers=headers)


def test_a_feed_is_fetched_whole_at_an_address_that_stays(staff: APIClient) -> None:
    make_product(sku="TEA")
    make_product(sku="DRAFT", status="draft")
    feed = save(staff, compression="gzip", every=30)
    assert feed["file_url"].endswith("/products.csv.gz")
    assert fetch(feed["file_url"]).status_code == 409
    job = make(feed)
    assert job is not None
    answer = fetch(feed["file_url"])
    body = read_body(answer)
    # The draft isn't there although its maker sees it.
    assert gzip.decompress(body).split() == [b"sku", b"TEA"]
    assert answer["ETag"] == f'"{job.sha256}"'
    assert answer["Last-Modified"] == http_date(job.finished_at.timestamp())
    assert answer["X-Changes-Cursor"] == str(job.changes_cursor)
    shown = staff.get(feed["url"]).json()
    assert (shown["rows"], shown["bytes"], shown["error"]) == (1, job.bytes, "")
    for headers in ({"If-None-Match": answer["ETag"]}, {"If-Modified-Since": answer["Last-Modified"]}):
        assert fetch(feed["file_url"], **headers).status_code == 304
    piece = fetch(feed["file_url"], Range="bytes=4-")
    assert (piece.status_code, read_body(piece)) == (206, body[4:])
    assert fetch(feed["file_url"].replace(".csv.gz", ".csv")).status_code == 404
    assert fetch(feed["file_url"].replace(feed["file_url"].split("/")[-2], "x" * 32)).status_code == 404


def test_a_named_status_is_what_its_maker_may_see(staff: APIClient) -> None:
    make_product(sku="DRAFT", status="draft")
    feed = save(staff, filters={"status": "draft"})
    make(feed)
    assert b"DRAFT" in read_body(fetch(feed["file_url"]))


@pytest.mark.slow
def test_a_new_file_takes_the_place_of_the_former_one(staff: APIClient, files: Any) -> None:
    make_product(sku="TEA")
    feed = save(staff, every=30)
    first = make(feed)
    assert make(feed) is None, "it isn't due"
    make_product(sku="NEW")
    make_due()
    second = make(feed)
    assert first is not None
    assert second is not None
    assert b"NEW" in read_body(fetch(feed["file_url"]))
    first.refresh_from_db()
    assert first.expires_at < timezone.now() + timedelta(minutes=11)
    ExportJob.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert list(ExportJob.objects.only_stale()) == [first], "the served file isn't swept"
    for job in ExportJob.objects.only_stale():
        job.expire()
    assert [name.split("/")[0] for name in list_files(files) if "." in name] == [str(second.pk)]
    assert fetch(feed["file_url"]).status_code == 200


def test_on_change_a_file_is_made_only_after_a_change(staff: APIClient) -> None:
    make_product(sku="TEA")
    feed = save(staff, on_change=True)
    assert make(feed) is not None
    brand = make_brand("Another")
    make_due()
    assert make(feed) is None, "no product has changed"
    Brand.objects.filter(pk=brand.pk).update(name="Other")
    assert make(feed) is not None, "a product may show the name"
    make_due()
    Variant.objects.update(barcode="4006381333931")
    assert make(feed) is not None


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_former_file_and_says_why(staff: APIClient, admin_user: User) -> None:
    make_product(sku="TEA")
    feed = save(staff)
    make(feed)
    make_due()
    make_feeds()
    next_job = Feed.objects.get().next_job
    assert next_job is not None
    next_job.fail("The disk is full.")
    make_feeds()
    assert staff.get(feed["url"]).json()["error"] == "The disk is full."
    assert fetch(feed["file_url"]).status_code == 200
    User.objects.filter(pk=admin_user.pk).update(is_superuser=False)
    make_due()
    make_feeds()
    assert "may not export" in Feed.objects.get().error
    assert fetch(feed["file_url"]).status_code == 403


def test_the_delta_has_what_changed_and_what_went(staff: APIClient) -> None:
    tea, oil = make_product(sku="TEA", brand=make_brand("Acme")), make_product(sku="OIL", brand=make_brand("Acme"))
    feed = save(staff, fields="id,sku,title", filters={"brand": "acme"})
    make(feed)
    assert fetch(feed["delta_url"]).json()["rows"] == []
    Product.objects.filter(pk=tea.pk).update(title="Green Tea")
    Product.objects.filter(pk=oil.pk).update(status="draft")
    gone = make_product(sku="SALT", brand=make_brand("Acme"))
    key = gone.pk
    gone.delete()
    found = fetch(feed["delta_url"]).json()
    assert found["rows"] == [{"id": tea.pk, "sku": "TEA", "title": "Green Tea"}]
    assert found["gone"] == sorted([oil.pk, key])
    assert (found["next"], found["next_cursor"]) == (None, str(read_cursor()))
    after = fetch(f"{feed['delta_url']}?after={found['next_cursor']}").json()
    assert (after["rows"], after["gone"]) == ([], [])
    purge_changes(timezone.now() + timedelta(days=1))
    assert fetch(f"{feed['delta_url']}?after=0").status_code == 410


def test_a_delta_comes_in_pieces(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exports.feeds.following.MOST_CHANGES", 3)
    feed = save(staff, fields="id")
    made = [make_product().pk for _ in range(4)]
    url, seen = f"{feed['delta_url']}?after=0", set()
    while url:
        piece = fetch(url).json()
        seen |= {row["id"] for row in piece["rows"]}
        url = piece["next"]
    assert seen == set(made)


def walk(feed: dict[str, Any], after: str) -> list[Any]:
    """The pieces of a delta."""
    pieces: list[Any] = []
    while not pieces or pieces[-1]["next"]:
        pieces.append(fetch(f"{feed['delta_url']}?after={after}").json())
        after = pieces[-1]["next_cursor"]
    return pieces


def list_told(pieces: list[Any]) -> list[int]:
    return [row["id"] for piece in pieces for row in piece["rows"]]


@pytest.mark.parametrize("renamed", ["brands/acme", "categories/home", "categories/home-chairs"])
def test_another_name_of_a_brand_or_category_tells_its_products_piece_by_piece(
    renamed: str, staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.feeds.following.MOST_CHANGES", 3)
    feed = save(staff, format="ndjson", fields="id", expand="brand,category")
    acme, chairs = make_brand("Acme"), make_category("Home", "Chairs")
    made = [make_product(brand=acme, category=chairs).pk for _ in range(7)]
    other, draft = make_product(brand=make_brand("Other")), make_product(brand=acme, category=chairs, status="draft")
    before = read_cursor()
    assert staff.patch(f"/api/v1/{renamed}/", {"name": "New"}).status_code == 200
    Product.objects.filter(pk=other.pk).update(title="Another")
    pieces = walk(feed, str(before))
    assert sorted(list_told(pieces)) == sorted([*made, other.pk])
    assert [key for piece in pieces for key in piece["gone"]] == [draft.pk]
    assert max(len(piece["rows"]) for piece in pieces) <= 4
    assert pieces[-1]["next_cursor"] == str(read_cursor())


def test_variants_and_stock_follow_their_product(staff: APIClient) -> None:
    product, before = make_product(variants=2), read_cursor()
    variants = list(product.variants.values_list("pk", flat=True))
    rows = {"variants": variants, "stock": list(Stock.objects.values_list("pk", flat=True))}
    feeds = {name: save(staff, resource=name, format="ndjson", fields="id") for name in rows}
    Product.objects.update(sku="NEW")
    assert {name: list_told(walk(feed, str(before))) for name, feed in feeds.items()} == rows
    Product.objects.update(status="draft")
    gone = {name: [key for piece in walk(feed, str(before)) for key in piece["gone"]] for name, feed in feeds.items()}
    assert gone == rows


def test_the_delta_of_changes_has_the_changes(staff: APIClient) -> None:
    make_product()
    feed, before = save(staff, resource="changes", fields="position,entity"), read_cursor()
    make_brand("Acme")
    assert walk(feed, str(before))[0]["rows"] == [{"position": before + 1, "entity": "brand"}]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.2", "1.2.x", "1.0.3", "1" * 13, "٣", ""])
def test_what_is_no_cursor_is_refused(cursor: str, staff: APIClient) -> None:
    answer = fetch(f"{save(staff)['delta_url']}?after={cursor}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?after")


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"every": 1}, "/every"),
        ({"resource": "nothing"}, "/resource"),
        ({"filters": {"prise": 1}}, "/filters/prise"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], pointer: str, staff: APIClient) -> None:
    answer = staff.post(URL, BODY | values)
    assert answer.status_code == 400
    assert pointer in {fault["pointer"] for fault in answer.json()["errors"]}


def test_the_schedule_changes_and_the_number_has_a_limit(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = save(staff)
    changed = staff.patch(feed["url"], {"every": 120, "on_change": True})
    assert (changed.status_code, changed.json()["every"], changed.json()["file_url"]) == (200, 120, feed["file_url"])
    monkeypatch.setattr(serializers, "MOST_FEEDS", 1)
    answer = staff.post(URL, BODY)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_feeds")
    assert staff.delete(feed["url"]).status_code == 204
    assert fetch(feed["delta_url"]).status_code == 404


def test_no_log_line_has_the_secret_of_an_address() -> None:
    secret = "A" * 31 + "_"
    assert secret not in redact(f'"path":"/api/v1/feeds/3/{secret}/products.xml.gz"')


def test_staff_see_feeds_and_make_their_files(staff: APIClient, admin_user: User) -> None:
    feed = save(staff)
    make(feed)
    client = Client()
    client.force_login(admin_user)
    page = "/admin/exports/feed/"
    assert "products, csv" in client.get(page).content.decode()
    assert Feed.objects.get().secret not in client.get(f"{page}{feed['id']}/change/").content.decode()
    client.post(page, {"_selected_action": [feed["id"]], "action": "make"})
    assert make(feed) is not None
