"""The admin's list of changes: who, when, what from what to what, as sentences, with filters and a way back."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.changes.log import number_all
from catalog.changes.models import Change
from catalog.changes.sentences import write_sentence
from catalog.models import Product, UndoJob
from tests.factories import make_brand, make_product, make_user

pytestmark = pytest.mark.django_db

LIST = reverse("admin:catalog_change_changelist")


def read(browser: Client, **query: Any) -> str:
    page = browser.get(LIST, query).content.decode()
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_a_change_is_told_as_a_sentence_by_who_made_it(staff: APIClient, admin_client: Client) -> None:
    make_brand("Acme")
    product = make_product(sku="TEA", title="Old", price="4.50", brand=make_brand("Zeta"), attributes={"color": "red"})
    address = f"/api/v1/products/{product.pk}/"
    body = {"title": "New", "brand": "acme", "attributes": {"color": "blue"}, "price": "5.00"}
    assert staff.patch(address, body, format="json").status_code == 200
    staff.patch("/api/v1/stock/bulk/", [{"sku": "TEA", "on_hand": 7}], format="json")
    staff.delete(address)
    page = read(admin_client)
    assert "Changed the variant TEA: price from 4.50 to 5.00." in page
    assert "Changed the stock of TEA: on hand from 1 to 7." in page
    assert "title from Old to New" in page
    assert "brand from Zeta to Acme" in page
    assert "attributes: color from red to blue" in page
    assert "Deleted the product TEA." in page
    assert "Deleted an image of TEA." in page
    assert "Added the brand Acme." in page
    assert "root@example.com" in page


def test_the_page_of_a_change_shows_names_and_no_code(admin_client: Client) -> None:
    make_product(sku="TEA", brand=make_brand("Acme"), attributes={"color": "red", "organic": True})
    number_all()
    first = Change.objects.get(entity="product", op="create")
    page = admin_client.get(reverse("admin:catalog_change_change", args=[first.pk])).content.decode()
    shown = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "brand - Acme" in shown
    assert "compare at price - nothing" in shown
    assert "attributes - color: red, organic: yes" in shown


def test_the_end_of_a_job_is_told_without_how_workers_held_it() -> None:
    before = {"status": "running", "fence": 1, "claims": 1, "leased_until": "2026-01-31T12:00:00Z"}
    change = {"entity": "export", "entity_id": 3, "op": "update", "before": before}
    after = {"status": "ready", "fence": 2, "claims": 0, "leased_until": None}
    assert write_sentence(change | {"after": after}, "", {}) == "Changed the export #3: status from running to ready."


@pytest.mark.slow
def test_changes_are_found_by_who_when_product_and_request(staff: APIClient, admin_client: Client) -> None:
    tea, cup = make_product(sku="TEA"), make_product(sku="CUP")
    for product, name in ((tea, "first"), (cup, "second")):
        staff.patch(f"/api/v1/products/{product.pk}/", {"title": name}, headers={"X-Request-ID": name})
    today = f"{timezone.now():%Y-%m-%d}"
    for query in ({"request_id": "first"}, {"of_product": "TEA"}, {"of_product": str(tea.pk)}):
        page = read(admin_client, **query)
        assert "to first" in page
        assert "to second" not in page
    assert "to first" in read(admin_client, who="ROOT@example.com", at_from=today, at_to=today)
    assert "to first" not in read(admin_client, who="nobody@example.com")
    assert "to first" not in read(admin_client, at_to="2020-01-01")
    assert "to first" not in read(admin_client, at_from="2999-01-01")


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 12])
def test_the_list_costs_the_same_for_any_number(number: int, staff: APIClient, admin_client: Client) -> None:
    for _ in range(number):
        product = make_product(brand=make_brand(), variants=2, images=2)
        staff.patch(f"/api/v1/products/{product.pk}/", {"brand": None, "title": "X"}, format="json")
        staff.delete(f"/api/v1/products/{product.pk}/")
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(LIST)
    assert len(queries) <= 20, len(queries)


@pytest.mark.slow
def test_an_undo_is_previewed_and_then_done_in_the_admin(staff: APIClient, admin_client: Client) -> None:
    products = [make_product(status="draft") for _ in range(2)]
    keys = [product.pk for product in products]
    posted = {"action": "publish", "_selected_action": keys, "confirmed": "1"}
    answer = admin_client.post(reverse("admin:catalog_product_changelist"), posted, follow=True)
    [address] = re.findall(r'href="([^"]*undojob/begin/[^"]*)"', answer.content.decode())
    page = admin_client.get(address).content.decode()
    assert "<strong>2 changes</strong>" in page
    request_id = re.findall(r'name="request_id" value="([^"]+)"', page)[0]
    begin = address.partition("?")[0]
    preview = admin_client.post(begin, {"request_id": request_id}, follow=True).content.decode()
    assert "Undo now" in preview
    assert Product.objects.filter(status="active").count() == 2
    done = admin_client.post(begin, {"request_id": request_id, "dry_run": "0"}, follow=True).content.decode()
    assert "Undo this undo" in done
    assert Product.objects.filter(status="draft").count() == 2
    assert list(UndoJob.objects.order_by("pk").values_list("dry_run", flat=True)) == [True, False]


def test_what_others_changed_since_stays_and_the_rest_is_undone(staff: APIClient, admin_client: Client) -> None:
    kept, undone = make_product(title="Old"), make_product(title="Old")
    items = [{"id": product.pk, "title": "New"} for product in (kept, undone)]
    request_id = staff.post("/api/v1/products/bulk/", {"mode": "update", "items": items})["X-Request-ID"]
    staff.patch(f"/api/v1/products/{kept.pk}/", {"title": "Newest"})
    begin = reverse("admin:catalog_undojob_begin")
    page = admin_client.post(begin, {"request_id": request_id}, follow=True).content.decode()
    assert "Preview with what others changed since" in page
    admin_client.post(begin, urlencode(fill_form(page, "Undo now")), "application/x-www-form-urlencoded")
    titles = Product.objects.order_by("pk").values_list("title", flat=True)
    assert list(titles) == ["Newest", "Old"]


def test_one_field_of_a_change_is_taken_back_alone(staff: APIClient, admin_client: Client) -> None:
    product = make_product(title="Old", status="draft")
    staff.patch(f"/api/v1/products/{product.pk}/", {"title": "New", "status": "active"})
    change = next(row for row in admin_client.get(LIST).context["cl"].result_list if "status" in row.told.sentence)
    page = admin_client.get(f"{LIST}{change.pk}/change/").content.decode()
    [address] = [unescape(link) for link in re.findall(r'href="([^"]*undojob/begin/[^"]*columns=title)"', page)]
    begin = admin_client.get(address).content.decode()
    assert "Only <strong>title</strong> goes back" in begin
    for form, pressed in ((begin, "Preview the undo"), (None, "Undo now")):
        sent = urlencode(fill_form(form or page, pressed))
        posted = address.partition("?")[0]
        page = admin_client.post(posted, sent, "application/x-www-form-urlencoded", follow=True).content.decode()
    product.refresh_from_db()
    assert (product.title, product.status) == ("Old", "active")
    viewer = make_user("Catalogue viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_change"))
    admin_client.force_login(viewer)
    assert "undojob/begin" not in admin_client.get(f"{LIST}{change.pk}/change/").content.decode()


def fill_form(page: str, pressed: str) -> list[tuple[str, str]]:
    """What a browser sends of the page's form: hidden fields and the pressed button, in their order."""
    sent = []
    for hidden, button, text in re.findall(r"(<input type=\"hidden\"[^>]*>)|(<button[^>]*>)([^<]*)", page):
        if hidden or text.strip() == pressed:
            told = dict(re.findall(r'(name|value)="([^"]*)"', hidden or button))
            sent += [(told["name"], told["value"])] if len(told) == 2 else []
    return sent
