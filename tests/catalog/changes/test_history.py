"""`GET /api/v1/products/{id}/history/` and the admin's page of a change: who, when, in which request, before, after."""

from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from catalog.changes.log import number_changes
from catalog.imports.readers import open_source
from catalog.imports.runs import ImportRun
from catalog.models import Brand, Change, Product, Stock
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db


def url_of(key: int) -> str:
    return f"/api/v1/products/{key}/history/"


def read_history(client: APIClient, key: int, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(url_of(key), query)
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_a_history_says_who_changed_what_in_which_request(staff: APIClient, admin_user: User) -> None:
    product = make_product(title="Old", price="4.50")
    address = f"/api/v1/products/{product.pk}/"
    staff.patch(address, {"title": "New", "price": "5.00"}, headers={"X-Request-ID": "first"})
    staff.patch(address, {"title": "Newer"}, headers={"X-Request-ID": "second"})
    latest, *rest = read_history(staff, product.pk)
    assert list(latest) == [
        "position", "at", "actor", "request_id", "entity", "entity_id", "op", "version", "before", "after",
    ]  # fmt: skip
    assert (latest["actor"], latest["request_id"], latest["op"]) == (f"user:{admin_user.pk}", "second", "update")
    product.refresh_from_db()
    assert latest["version"] == latest["after"]["version"] == product.version
    assert (latest["before"]["title"], latest["after"]["title"]) == ("New", "Newer")
    assert set(latest["after"]) == {"title", "version", "updated_at"}
    assert latest["after"]["updated_at"].endswith("Z")
    first = [change for change in rest if change["request_id"] == "first"]
    [variant] = [change for change in first if change["entity"] == "variant"]
    assert (variant["before"]["price"], variant["after"]["price"]) == ("4.50", "5.00")
    merged: dict[str, Any] = {}
    for change in first:
        if change["entity"] == "product":
            merged = change["after"] | merged
    assert (merged["title"], merged["price"]) == ("New", "5.00")


def test_a_new_row_has_only_an_after_and_a_deleted_one_only_a_before(staff: APIClient) -> None:
    product = make_product(title="Lamp", images=1)
    key = product.pk
    product.delete()
    history = read_history(staff, key)
    created = next(change for change in reversed(history) if change["entity"] == "product")
    assert (created["op"], created["before"], created["after"]["title"]) == ("create", None, "Lamp")
    gone = next(change for change in history if change["entity"] == "product")
    assert (gone["op"], gone["before"]["title"], gone["after"]) == ("delete", "Lamp", None)
    assert {change["entity"] for change in history} == {"product", "text", "variant", "stock", "image"}


@pytest.mark.parametrize("keeps", [True, False])
def test_an_import_keeps_the_row_before_unless_it_is_told_not_to(keeps: bool, staff: APIClient, settings: Any) -> None:
    settings.IMPORT_KEEPS_BEFORE = keeps
    product = make_product(title="Old")
    content = f"sku,title\n{product.sku},New\n".encode()
    for _ in ImportRun(open_source(BytesIO(content), "file.csv")).take_steps():
        pass
    [change] = [change for change in read_history(staff, product.pk) if change["op"] == "update"][:1]
    assert ((change["before"] or {}).get("title"), change["after"]["title"]) == ("Old" if keeps else None, "New")


def test_a_history_goes_page_by_page_to_its_beginning(staff: APIClient) -> None:
    product = make_product(variants=2, images=2)
    wanted = [change["position"] for change in read_history(staff, product.pk)]
    seen, page = [], staff.get(url_of(product.pk), {"page_size": 3}).json()
    while page["next"]:
        seen += page["results"]
        page = staff.get(page["next"]).json()
    assert [change["position"] for change in seen + page["results"]] == wanted
    assert wanted == sorted(wanted, reverse=True)


def test_a_page_costs_at_most_nine_queries_at_any_length(staff: APIClient) -> None:
    product = make_product(images=2)
    counts = []
    for number in range(2, 62, 20):
        for step in range(number):
            Stock.objects.update(on_hand=number + step)
        with CaptureQueriesContext(connection) as queries:
            assert len(read_history(staff, product.pk, page_size=5 + number)) == 5 + number
        counts.append(len(queries))
    # 1. the numberer (PostgreSQL), 2. the positions, 3. the changes, 4. what followed each;
    # then the present rows, a query for each of five tables at the most
    assert max(counts) <= 9, counts


def test_only_who_may_see_changes_and_products_reads_it(client: APIClient) -> None:
    product = make_product()
    assert client.get(url_of(product.pk)).status_code == 401
    for codes, status in (([], 403), (["view_change"], 403), (["view_change", "view_product"], 200)):
        user = User.objects.create_user(f"{status}{len(codes)}@example.com", "secret")
        user.user_permissions.set(Permission.objects.filter(codename__in=codes))
        client.force_authenticate(user)
        assert client.get(url_of(product.pk)).status_code == status


def test_a_product_that_never_was_is_a_404_and_a_slip_a_400(staff: APIClient) -> None:
    assert staff.get(url_of(999_999)).status_code == 404
    product = make_product()
    for query in ("cursor=x", "page_size=0", "page=2"):
        assert staff.get(f"{url_of(product.pk)}?{query}").status_code == 400


@pytest.mark.slow
def test_the_admin_shows_a_change_and_offers_no_way_to_alter_it(admin_client: Client) -> None:
    brand = make_brand("Acme")
    Brand.objects.update(name="<b>Other</b>")
    number_changes()
    change = Change.objects.filter(entity="brand").first()
    assert change is not None
    page = admin_client.get(reverse("admin:catalog_change_change", args=[change.pk])).content.decode()
    assert "Acme" in page
    assert "&lt;b&gt;Other&lt;/b&gt;" in page
    assert 'name="_save"' not in page
    listed = admin_client.get(reverse("admin:catalog_change_changelist"), {"entity": "brand"}).content.decode()
    assert f"/{change.pk}/change/" in listed
    of_product = {"of_product": str(make_product().pk)}
    assert (
        f"/{change.pk}/change/"
        not in admin_client.get(reverse("admin:catalog_change_changelist"), of_product).content.decode()
    )
    for name in ("delete", "change"):
        answer = admin_client.post(reverse(f"admin:catalog_change_{name}", args=[change.pk]), {"post": "yes"})
        assert answer.status_code == 403
    assert brand.pk == change.entity_id


def test_a_list_of_changes_counts_no_further_than_every_list(admin_client: Client) -> None:
    make_product()
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(reverse("admin:catalog_change_changelist"))
    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert all("LIMIT 10001" in sql for sql in counting), counting
    assert Product.objects.exists()
