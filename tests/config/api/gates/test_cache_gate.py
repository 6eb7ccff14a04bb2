"""Answers in front of Django: what was answered twice is answered at once, and never after a write."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections, transaction
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Attribute, Brand, Category, Product, Stock, Variant
from catalog.views.small_lists import BrandViewSet
from config.api.database.wal_positions import read_written_position
from config.api.freshness.commits import acknowledge
from config.api.freshness.leases import FRESHNESS, Freshness
from config.api.gates.cache_gate import CACHE
from config.api.gates.request import match_path
from config.api.reads.conditional import read_tags
from config.api.reads.plans import PLANS, parse_query
from config.api.rendering.encodings import read_weights
from config.api.rendering.renderers import KEPT_CHOICES
from config.logs import RequestLine
from config.wsgi import Handler
from tests.examples import halve
from tests.factories import make_brand, make_category, make_product
from tests.gates import (
    CALLERS,
    UNPACK,
    Answer,
    Ask,
    Django,
    make_token,
    names,
    run_elsewhere,
    send,
    warm,
    write_past_django,
)
from tests.launching import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

BRANDS = "/api/v1/brands/"
PRODUCTS = "/api/v1/products/"

# -- hits ---------------------------------------------------------------------------------------------------------


def test_the_third_request_is_answered_before_django(ask: Ask, django: Django) -> None:
    make_brand("Acme")
    states = [ask(BRANDS)[1]["X-Cache"] for _ in range(4)]
    assert states == ["miss", "miss", "hit", "hit"]
    assert django.asked == 2


@pytest.mark.slow
def test_a_hit_asks_the_database_nothing_within_a_lease(
    ask: Ask, settings: Any, django_assert_num_queries: Any
) -> None:
    make_product()
    settings.CACHE_LEASE_MS = 1000
    for address in (BRANDS, f"{PRODUCTS}?expand=brand,images&page=1", f"{PRODUCTS}{Product.objects.get().pk}/"):
        warm(ask, address)
        FRESHNESS.end()
        with django_assert_num_queries(1 + (connection.vendor == "sqlite" and FRESHNESS.last.position == 0)):
            ask(address)  # asks how far the log has come
        with django_assert_num_queries(0):
            assert ask(address)[1]["X-Cache"] == "hit"
            assert ask(address, HTTP_IF_NONE_MATCH=ask(address)[1]["ETag"])[0] == 304


MOMENTS = ("Server-Timing", "X-Request-ID", "X-Cache")
QUESTIONS = [
    BRANDS,
    f"{BRANDS}acme/",
    "/api/v1/categories/food/tree/",
    "/api/v1/products/suggest/?q=gre",
    f"{PRODUCTS}?page_size=1",
    f"{PRODUCTS}?page_size=1&page=1",
    "/api/v1/products?fields=id,title",
    f"{PRODUCTS}?brand=acme&ordering=price",
    f"{PRODUCTS}?search=tea",
    f"{PRODUCTS}?category=food",
    f"{PRODUCTS}ROW/?expand=variants",
    f"{PRODUCTS}ROW/variants/",
    "/api/v1/variants/SKU/",
    f"{PRODUCTS}?prise=1",
    f"{PRODUCTS}999999999/",
    "/api/v1/",
    "/livez",
]
CODINGS = [{"HTTP_ACCEPT_ENCODING": "gzip;q=0, zstd"}, {"HTTP_ACCEPT_ENCODING": "br"}]
TAGS = [{"HTTP_IF_NONE_MATCH": "nonsense"}]


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_gate_its_middleware_and_django_answer_alike(question: str, ask: Ask, settings: Any) -> None:
    category = make_category("Food")
    product = make_product(title="Tea", brand=make_brand("Acme"), category=category)
    make_product(title="Tea too", brand=product.brand)
    address = question.replace("ROW", str(product.pk)).replace("SKU", product.variants.get().sku)
    for caller in halve(CALLERS + CODINGS + TAGS, question):
        settings.CACHE = "off"
        plain = ask(address, **caller)
        settings.CACHE = "on"
        CACHE.clear()
        by_gate = [drop_moments(ask(address, **caller)) for _ in range(4)]
        CACHE.clear()
        twin = Handler()
        by_twin = [drop_moments(send(twin, address, **caller)) for _ in range(4)]
        assert by_gate == by_twin == [drop_moments(plain)] * 4, caller


def drop_moments(answer: Answer) -> Answer:
    """Without what differs between any two requests, or belongs to one coding alone."""
    status, headers, body = answer
    if headers.get("Content-Type", "").startswith(("text/html", "application/problem")):  # tokens and request ids
        return status, {"Content-Type": headers["Content-Type"]}, b""
    if status == 304:  # what a kept answer is to be changed by (RFC 9110, 15.4.5); Django's middleware adds more
        return status, {name: headers[name] for name in ("ETag", "Cache-Control", "Vary")}, body
    body = UNPACK[headers.get("Content-Encoding")](body)
    kept = {
        name: value for name, value in headers.items() if name not in (*MOMENTS, "Content-Encoding", "Content-Length")
    }
    return status, kept, body


@pytest.mark.parametrize(
    ("wish", "coding"), [("gzip", "gzip"), ("br", "br"), ("gzip, zstd", "zstd"), ("gzip;q=0", None)]
)
def test_each_coding_is_compressed_once_and_cached(wish: str, coding: str | None, ask: Ask, monkeypatch: Any) -> None:
    for number in range(60):
        make_brand(f"Brand {number:03}")
    plain = warm(ask, BRANDS)[2]
    first = ask(BRANDS, HTTP_ACCEPT_ENCODING=wish)
    monkeypatch.setattr("config.api.gates.entries.compress", lambda body, coding: 1 / 0)
    status, headers, body = ask(BRANDS, HTTP_ACCEPT_ENCODING=wish)
    assert (status, headers.get("Content-Encoding"), body) == (200, coding, first[2])
    assert UNPACK[coding](body) == plain
    assert headers["Content-Length"] == str(len(body))


def test_head_is_a_hit_without_its_body(ask: Ask) -> None:
    make_brand("Acme")
    _, headers, body = warm(ask, BRANDS)
    status, told, nothing = ask(BRANDS, "HEAD")
    assert (status, nothing, told["Content-Length"], told["ETag"]) == (200, b"", str(len(body)), headers["ETag"])


def test_spellings_of_one_question_share_an_answer(ask: Ask, django: Django) -> None:
    make_product(brand=make_brand("Acme"))
    warm(ask, f"{PRODUCTS}?brand=acme&page_size=5")
    asked = django.asked
    for spelling in ("page_size=5&brand=acme", "br%61nd=acme&page_size=5", "page%5Fsize=5&brand=ac%6De"):
        assert ask(f"{PRODUCTS}?{spelling}")[1]["X-Cache"] == "hit", spelling
    assert ask("/api/v1/products?brand=acme&page_size=5")[1]["X-Cache"] == "hit"
    assert django.asked == asked


# -- what never enters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        f"{PRODUCTS}?prise=1",
        f"{PRODUCTS}?brand=acme&brand=zeta",
        f"{PRODUCTS}?page_size=0",
        f"{PRODUCTS}?cursor=forged",
        f"{PRODUCTS}999999999/",
        "/api/v1/nowhere/",
        f"{BRANDS}%2e%2e/brands/",
    ],
)
def test_a_refusal_is_never_kept(address: str, ask: Ask) -> None:
    for _ in range(3):
        status, headers, _ = ask(address)
        assert 400 <= status < 500
        assert headers["X-Cache"] != "hit"
    assert not CACHE.memory.entries


LONG = "x" * 5000


@pytest.mark.parametrize(
    ("address", "header", "expected"),
    [
        (BRANDS, {"HTTP_HOST": LONG}, 400),
        (BRANDS, {"HTTP_ACCEPT": f"application/json, a/{LONG}"}, 406),
        (BRANDS, {"HTTP_ACCEPT_ENCODING": f"gzip, {LONG}"}, 200),
        (BRANDS, {"HTTP_IF_NONE_MATCH": f'"{LONG}"'}, 400),
        (f"{BRANDS}{LONG}/", {"HTTP_AUTHORIZATION": "Token x"}, 401),
        (f"{PRODUCTS}?sku={LONG}", {}, 200),
    ],
    ids=["host", "accept", "encoding", "tags", "path", "query"],
)
def test_a_long_request_is_answered_and_not_remembered(
    address: str, header: dict[str, str], expected: int, ask: Ask
) -> None:
    """A stranger's 20,000 requests of 400 kB would be all the memory that there is."""
    for short in (BRANDS, f"{BRANDS}acme/"):
        warm(ask, short, HTTP_IF_NONE_MATCH='"x"')
    before = count_remembered()
    for _ in range(3):
        assert ask(address, **header)[0] == expected
    assert count_remembered() == before


def count_remembered() -> list[int]:
    """How many pieces of text each place holds that a client has sent."""
    cached = (match_path, read_tags, read_weights, parse_query)
    kept = (CACHE.memory.queries, CACHE.memory.entries, PLANS, KEPT_CHOICES)
    return [function.cache_info().currsize for function in cached] + [len(place) for place in kept]


def test_raw_bytes_in_a_query_are_not_confused_with_other_letters(ask: Ask) -> None:
    """`é` as two raw bytes, and the two letters that those bytes are in Latin-1."""
    make_product(brand=Brand.objects.create(name="É", slug="é"))
    raw, letters = "é".encode().decode("latin-1"), "%C3%83%C2%A9"
    assert len(warm(ask, f"{PRODUCTS}?brand={raw}")[2]) > len(warm(ask, f"{PRODUCTS}?brand={letters}")[2])


def test_headers_that_arent_part_of_the_key_dont_reach_an_answer(ask: Ask, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    for number in range(60):
        make_brand(f"Brand {number:03}")
    honest = warm(ask, BRANDS)[2]
    CACHE.clear()
    games = {"HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_X_ORIGINAL_URL": "/x", "HTTP_X_FORWARDED_PROTO": "https"}
    assert warm(ask, BRANDS, **games)[2] == ask(BRANDS)[2] == honest
    assert ask(BRANDS, HTTP_HOST="evil.example")[0] == 400
    assert b"evil" not in ask(BRANDS)[2]


def test_hosts_dont_share_answers(ask: Ask, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["a.example", "b.example"]
    for number in range(51):
        make_brand(f"Brand {number:03}")
    for host in ("a.example", "b.example", "a.example", "b.example", "a.example"):
        assert f'"next":"http://{host}/'.encode() in ask(BRANDS, HTTP_HOST=host)[2]


def test_an_answer_read_from_a_table_that_the_log_doesnt_cover_isnt_kept(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tables", "watched"):
        monkeypatch.setattr(FRESHNESS, name, getattr(FRESHNESS, name) - {"catalog_attribute"})
    Attribute.objects.create(name="color", type="text")
    make_product(attributes={"color": "red"})
    for _ in range(3):
        assert ask(f"{PRODUCTS}?attr.color=red")[1]["X-Cache"] == "miss"
    Attribute.objects.all().delete()
    assert ask(f"{PRODUCTS}?attr.color=red")[0] == 400


def test_an_answer_by_an_attribute_is_kept_as_long_as_it_is_declared(ask: Ask) -> None:
    Attribute.objects.create(name="color", type="text")
    make_product(attributes={"color": "red"})
    warm(ask, f"{PRODUCTS}?attr.color=red")
    assert ask(f"{PRODUCTS}?attr.color=red")[1]["X-Cache"] == "hit"
    Attribute.objects.all().delete()
    assert ask(f"{PRODUCTS}?attr.color=red")[0] == 400


def test_the_cache_can_be_turned_off(client: APIClient, settings: Any) -> None:
    settings.CACHE = "off"
    assert [client.get(BRANDS)["X-Cache"] for _ in range(3)] == ["bypass"] * 3


# -- freshness ----------------------------------------------------------------------------------------------------


def write_raw(sql: str) -> None:
    """As psql does, past Django."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def copy_in() -> None:
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            pytest.skip("COPY: needs TEST_BACKEND=production")
        with cursor.copy("COPY catalog_brand (name, slug, version, created_at, updated_at) FROM STDIN") as copy:
            copy.write_row(("Copied", "copied", 1, "2026-01-01", "2026-01-01"))


def truncate() -> None:
    write_raw("TRUNCATE catalog_brand CASCADE" if connection.vendor == "postgresql" else "DELETE FROM catalog_brand")


WAYS: dict[str, Callable[[], object]] = {
    "save": lambda: Brand(name="New", slug="new").save(),
    "update": lambda: Brand.objects.update(name="Other"),
    "bulk_create": lambda: Brand.objects.bulk_create([Brand(name="New", slug="new")]),
    "bulk_update": lambda: Brand.objects.bulk_update([rename(Brand.objects.get())], ["name"]),
    "delete": lambda: Brand.objects.get().delete(),
    "raw": lambda: write_raw("UPDATE catalog_brand SET name = 'Raw'"),
    "copy": copy_in,
    "truncate": truncate,
}


def rename(brand: Brand) -> Brand:
    brand.name = "Bulk"
    return brand


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_is_seen_at_once(way: str, ask: Ask, settings: Any) -> None:
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 1000
    before = warm(ask, BRANDS)[2]
    assert ask(BRANDS)[2] == before
    WAYS[way]()
    if way == "copy":
        FRESHNESS.end()  # not a statement of Django's: seen when the lease is over
    assert ask(BRANDS)[2] != before


def test_another_program_is_seen_once_the_lease_is_over(ask: Ask, settings: Any) -> None:
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 100
    warm(ask, BRANDS)
    run_elsewhere(lambda: write_past_django("UPDATE catalog_brand SET name = 'Psql'"))
    time.sleep(0.11)
    assert names(ask(BRANDS)) == ["Psql"]


def test_only_what_was_read_from_a_changed_table_is_old(ask: Ask) -> None:
    product = make_product(brand=make_brand("Acme"))
    uncounted = f"{BRANDS}?omit=product_count"
    warm(ask, BRANDS)
    warm(ask, uncounted)
    warm(ask, f"{PRODUCTS}?fields=id,title")
    Stock.objects.update(on_hand=77)
    assert ask(BRANDS)[1]["X-Cache"] == "hit"
    Product.objects.update(title="Dearer")
    assert (ask(BRANDS)[1]["X-Cache"], ask(uncounted)[1]["X-Cache"]) == ("hit", "hit")
    assert ask(f"{PRODUCTS}?fields=id,title")[1]["X-Cache"] == "miss"
    Variant.objects.filter(product=product).update(barcode="123")
    assert ask(f"{PRODUCTS}?fields=id,title")[1]["X-Cache"] == "hit"
    Product.objects.update(status="draft")
    assert (ask(BRANDS)[1]["X-Cache"], ask(uncounted)[1]["X-Cache"]) == ("miss", "hit")


def test_searches_and_trees_are_fresh_too(ask: Ask) -> None:
    tea = make_category("Food", "Tea")
    product = make_product(title="Green leaf", category=tea)
    searches = (f"{PRODUCTS}?search=green", f"{PRODUCTS}suggest/?q=gree")
    questions = (*searches, f"{PRODUCTS}?category=food", "/api/v1/categories/food/tree/")
    before = [warm(ask, question)[2] for question in questions]
    Product.objects.filter(pk=product.pk).update(title="Red leaf")
    Category.objects.filter(pk=tea.pk).update(parent=None, name="Tee")
    assert all(ask(question)[2] != old for question, old in zip(questions, before, strict=True))


def test_a_search_by_a_brand_follows_its_name(ask: Ask) -> None:
    make_product(title="Chair", brand=make_brand("Acme"))
    question = f"{PRODUCTS}?search=acme+chair&fields=title"
    found = warm(ask, question)[2]
    CACHE.clear()  # the plan stays
    assert warm(ask, question)[2] == found
    assert ask(question)[1]["X-Cache"] == "hit"
    Brand.objects.update(name="Ferro")
    assert ask(question)[2] != found


def test_a_write_that_is_rolled_back_moves_nothing(ask: Ask) -> None:
    make_brand("Acme")
    warm(ask, BRANDS)
    with transaction.atomic():
        Brand.objects.update(name="Never")
        transaction.set_rollback(True)
    assert ask(BRANDS)[1]["X-Cache"] == "hit"


@pytest.mark.slow
def test_a_reader_paused_between_query_and_fill_leaves_nothing_old(ask: Ask, django: Django, settings: Any) -> None:
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 1000
    ask(BRANDS)
    django.hold = lambda: run_elsewhere(lambda: Brand.objects.update(name="New"))
    assert names(ask(BRANDS)) == ["Acme"]  # it had asked before the write
    django.hold = lambda: None
    assert names(ask(BRANDS)) == ["New"]


@pytest.mark.slow
def test_a_writer_waits_until_the_leases_of_others_end(
    client: APIClient, staff: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = make_brand("Acme")
    product = make_product(brand=brand)
    settings.CACHE_LEASE_MS = 300
    began = time.monotonic()
    assert staff.patch(f"{PRODUCTS}{product.pk}/", {"title": "New"}).status_code == 200
    assert time.monotonic() - began >= 0.3
    settings.CACHE_LEASE_MS = 10_000
    began = time.monotonic()
    client.get(f"{PRODUCTS}{product.pk}/")
    staff.patch(f"{PRODUCTS}{product.pk}/", {"title": ""})  # refused: nothing to wait for
    assert time.monotonic() - began < 10


def test_two_processes_never_disagree_after_an_acknowledgement(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two leases of one log: the one that was read before a write is over when the write is acknowledged."""
    settings.CACHE_LEASE_MS = 100
    ours, theirs = FRESHNESS, Freshness()
    theirs.follow_log(ours.follow, ours.tables)
    make_brand("Acme")
    for _ in range(5):
        before = theirs.read()
        assert before
        with acknowledge():
            Brand.objects.update(name=f"At {time.monotonic()}")
        after = theirs.read()
        assert after
        assert not after.covers(before.epoch, before.position, ["catalog_brand"])
        assert after.covers(before.epoch, before.position, ["catalog_image"])


def test_an_emptied_log_is_another_epoch(ask: Ask) -> None:
    make_brand("Acme")
    lease = FRESHNESS.read()
    assert lease
    assert lease.position
    FRESHNESS.last = type(lease)(position=lease.position + 100, epoch=lease.epoch)
    FRESHNESS.end()
    again = FRESHNESS.read()
    assert again
    assert again.epoch != lease.epoch
    assert not again.covers(lease.epoch, lease.position, ["catalog_brand"])


def test_there_are_no_hits_while_the_log_does_not_answer(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_brand("Acme")
    warm(ask, BRANDS)
    monkeypatch.setattr(FRESHNESS, "follow", lambda after: None)
    assert (ask(BRANDS)[0], ask(BRANDS)[1]["X-Cache"]) == (200, "bypass")


# -- many at once -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_of_fifty_fills(ask: Ask, django: Django, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.gates.single_flight.WAIT_SECONDS", PATIENCE)
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 1000
    warm(ask, BRANDS)
    Brand.objects.update(name="New")
    asked, gate_open = django.asked, threading.Event()
    django.hold = lambda: gate_open.wait(PATIENCE) and None
    answers: list[Answer] = []

    def read() -> None:
        try:
            answers.append(ask(BRANDS))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + PATIENCE
    while not any(flight.waiting == 49 for flight in [*CACHE.flights.running.values()]):
        assert time.monotonic() < end, "the others don't wait for one"
        time.sleep(0.01)  # polls; nothing tells
    gate_open.set()
    for thread in threads:
        thread.join()
    assert django.asked - asked == 1
    assert [names(answer) for answer in answers] == [["New"]] * 50


@pytest.mark.slow
def test_a_limited_number_of_requests_waits_for_a_fill(
    ask: Ask, django: Django, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.api.gates.single_flight.WAIT_SECONDS", 20)
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 1000
    warm(ask, BRANDS)
    Brand.objects.update(name="New")
    CACHE.flights.room = threading.BoundedSemaphore(1)
    answers: list[Answer] = []

    def ask_while_another_waits() -> None:
        django.hold = lambda: None
        with CACHE.flights.room:
            run_elsewhere(lambda: answers.append(ask(BRANDS)))

    django.hold = ask_while_another_waits
    began = time.monotonic()
    answers.append(ask(BRANDS))
    assert time.monotonic() - began < 10
    assert [names(answer) for answer in answers] == [["New"]] * 2


@pytest.mark.slow
def test_a_route_may_be_stale_while_somebody_fills(
    ask: Ask, django: Django, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrandViewSet, "stale_seconds", 30)
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 1000
    control = "public, max-age=0, s-maxage=1, stale-while-revalidate=30"
    assert warm(ask, BRANDS)[1]["Cache-Control"] == control
    Brand.objects.update(name="New")
    old: list[Answer] = []
    django.hold = lambda: old.append(ask(BRANDS))
    assert names(ask(BRANDS)) == ["New"]
    django.hold = lambda: None
    [(status, headers, _)] = old
    assert (status, headers["X-Cache"], names(old[0])) == (200, "stale", ["Acme"])
    assert 'cache;desc="stale"' in headers["Server-Timing"]
    assert int(headers["Age"]) < 30
    Brand.objects.update(name="Newer")
    fresh: list[Answer] = []
    monkeypatch.setattr("config.api.gates.single_flight.WAIT_SECONDS", 0)

    def ask_for_more() -> None:
        django.hold = lambda: None
        fresh.append(ask(BRANDS, HTTP_X_MIN_VERSION="1"))

    django.hold = ask_for_more
    ask(BRANDS)
    assert names(fresh[0]) == ["Newer"]


@pytest.mark.parametrize("version", ["newest", "-1", "1" * 20, "\u0661"])
def test_a_version_that_is_none_is_refused(version: str, ask: Ask) -> None:
    status, _, body = ask(BRANDS, HTTP_X_MIN_VERSION=version.encode().decode("latin-1"))
    assert (status, b"X-Min-Version" in body) == (400, True)


# -- who ----------------------------------------------------------------------------------------------------------


def test_a_token_gets_hits_of_its_class_and_no_other(ask: Ask) -> None:
    make_product(title="Sold")
    make_product(title="Draft", status="draft")
    staff, other = make_token("staff@example.com", "view_product"), make_token("other@example.com", "view_product")
    nobody = make_token("nobody@example.com")
    for caller, titles in ((staff, 2), (nobody, 1), ({}, 1), (other, 2)):
        for _ in range(3):
            status, headers, body = ask(f"{PRODUCTS}?fields=title", **caller)
            assert (status, body.count(b'"title"')) == (200, titles)
            assert headers["Cache-Control"] == ("private, no-cache" if caller else "public, no-cache")
        assert headers["X-Cache"] == "hit"
    assert ask(f"{PRODUCTS}?fields=title", **other)[1]["X-Cache"] == "hit"


@pytest.mark.slow
def test_a_revoked_token_is_401_and_a_lost_right_shows_less(ask: Ask, settings: Any) -> None:
    make_product(status="draft")
    caller = make_token("staff@example.com", "view_product")
    settings.CACHE_LEASE_MS = 1000
    warm(ask, f"{PRODUCTS}?fields=title", **caller)
    assert b'"title"' in ask(f"{PRODUCTS}?fields=title", **caller)[2]
    user = User.objects.get(email="staff@example.com")
    user.user_permissions.clear()
    assert b'"title"' not in ask(f"{PRODUCTS}?fields=title", **caller)[2]
    user.auth_token_set.all().delete()
    assert ask(f"{PRODUCTS}?fields=title", **caller)[0] == 401
    assert ask(f"{PRODUCTS}?fields=title", HTTP_AUTHORIZATION="Token " + "0" * 64)[0] == 401


def test_a_session_goes_to_django(ask: Ask) -> None:
    warm(ask, PRODUCTS)
    assert ask(PRODUCTS, HTTP_COOKIE="sessionid=any")[1]["X-Cache"] == "bypass"


def test_hits_are_free(ask: Ask, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "3/hour"
    make_brand("Acme")
    warm(ask, BRANDS)
    for _ in range(10):
        status, headers, _ = ask(BRANDS)
        assert (status, headers["X-Cache"]) == (200, "hit")
        assert "RateLimit-Limit" not in headers
    statuses = [ask(f"{BRANDS}acme/?fields={name}")[0] for name in ("name", "slug")]
    assert statuses == [200, 429]


def test_a_least_version_is_a_hit_where_it_is_reached_and_counts_as_a_read_elsewhere(ask: Ask, settings: Any) -> None:
    settings.RATE_LIMIT_ANON = "4/hour"
    make_brand("Acme")
    warm(ask, BRANDS)
    for _ in range(10):
        status, headers, _ = ask(BRANDS, HTTP_X_MIN_VERSION="1")
        assert (status, headers["X-Cache"]) == (200, "hit")
    assert [ask(BRANDS, HTTP_X_MIN_VERSION="9" * 18)[0] for _ in range(3)] == [400, 400, 429]


def test_a_version_that_no_write_has_had_is_refused(ask: Ask) -> None:
    make_brand("Acme")
    version = read_written_position()
    for url in (BRANDS, f"{BRANDS}acme/"):
        assert ask(url, HTTP_X_MIN_VERSION=str(version))[0] == 200
        status, _, body = ask(url, HTTP_X_MIN_VERSION="999999999999999")
        assert (status, json.loads(body)["code"]) == (400, "invalid_header")
        assert "past the newest version" in json.loads(body)["detail"]


def test_the_feed_refuses_it_too(staff: APIClient) -> None:
    for url in ("/api/v1/changes/", f"/api/v1/products/{make_product().pk}/history/"):
        answer = staff.get(url, headers={"X-Min-Version": "999999999999999"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header"), url


# -- what a hit still does ----------------------------------------------------------------------------------------


def test_a_hit_has_its_own_id_and_times(ask: Ask) -> None:
    make_brand("Acme")
    warm(ask, BRANDS)
    first, second = ask(BRANDS)[1], ask(BRANDS, HTTP_X_REQUEST_ID="mine")[1]
    assert first["X-Request-ID"] != second["X-Request-ID"] == "mine"
    assert 'cache;desc="hit"' in second["Server-Timing"]


def test_the_log_line_of_a_hit_is_that_of_its_fill(ask: Ask, request_lines: list[RequestLine]) -> None:
    for name in ("Acme", "Zeta"):
        make_brand(name)
    etag = warm(ask, BRANDS)[1]["ETag"]
    ask(BRANDS)
    ask(BRANDS, HTTP_IF_NONE_MATCH=etag)
    lines = [(line.status, line.cache, line.rows, line.route) for line in request_lines[1:]]
    route = request_lines[0].route
    assert lines == [(200, "miss", 2, route), (200, "hit", 2, route), (304, "hit", None, route)]


@pytest.mark.slow
def test_a_write_tells_the_version_that_a_read_may_ask_for(
    ask: Ask, client: APIClient, staff: APIClient, settings: Any
) -> None:
    make_brand("Acme")
    settings.CACHE_LEASE_MS = 1000
    answer = staff.post(PRODUCTS, {"sku": "A1", "title": "Tea", "price": "1.00", "status": "active"})
    assert answer.status_code == 201
    version = answer["X-Data-Version"]
    assert int(version) > 0
    assert "X-Data-Version" not in client.get(PRODUCTS)
    assert b"Tea" in warm(ask, f"{PRODUCTS}?fields=title")[2]
    write_unseen()
    newer = str(read_written_position())
    assert b"Tea" not in ask(f"{PRODUCTS}?fields=title", HTTP_X_MIN_VERSION=newer)[2]


def write_unseen() -> None:
    """By another connection, which ends nobody's lease."""
    run_elsewhere(lambda: write_past_django("UPDATE catalog_product SET title = 'Seen'"))
