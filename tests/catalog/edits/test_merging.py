"""Merging brands and categories in the admin: one stays, gets the products of the others, and all can be taken back."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from catalog.edits import jobs
from catalog.edits.models import EditJob
from catalog.edits.tasks import advance_edit
from catalog.models import Brand, Category, Product
from tests.catalog.changes.undo.shop import read_shop, undo
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

BRANDS, CATEGORIES = "/admin/catalog/brand/", "/admin/catalog/category/"


@pytest.fixture
def office(admin_user: User) -> Client:
    """A superuser's browser."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


def merge(browser: Client, path: str, *rows: Any, into: Any = None) -> str:
    """The page that the action answers; without `into` the one that asks which row stays."""
    body = {"action": "merge_rows", "_selected_action": [row.pk for row in rows]}
    return browser.post(path, body | ({"into": into.pk} if into else {}), follow=True).content.decode()


def test_brands_become_one_and_come_back(office: Client, staff: APIClient) -> None:
    acme, inc, other = make_brand("ACME"), make_brand("Acme Inc"), make_brand("Other")
    make_product(brand=inc)
    make_product(brand=inc, status="draft")
    make_product(brand=other)
    before = read_shop()
    page = merge(office, BRANDS, acme, inc)
    assert "<strong>Acme Inc</strong> (acme-inc), 2 products" in page
    assert read_shop() == before
    page = merge(office, BRANDS, acme, inc, into=acme)
    assert "Merge Acme Inc into ACME" in page
    assert "all products of Acme Inc" in page
    job = EditJob.objects.get()
    assert (job.status, job.report) == ("ready", {"changed": 2, "unchanged": 0, "refused": 0})
    assert sorted(Brand.objects.values_list("slug", flat=True)) == ["acme", "other"]
    assert list(Product.objects.order_by("pk").values_list("brand__name", flat=True)) == ["ACME", "ACME", "Other"]
    undo(staff, request_id=f"edit/{job.pk}")
    assert read_shop() == before


def test_categories_take_those_below_with_them(office: Client, staff: APIClient) -> None:
    food, drinks = make_category("Food"), make_category("Drinks")
    tea = make_category("Drinks", "Tea")
    make_product(category=drinks)
    make_product(category=tea)
    before = read_shop()
    merge(office, CATEGORIES, food, drinks, into=food)
    assert list(Category.objects.order_by("pk").values_list("breadcrumb", flat=True)) == ["Food", "Food > Tea"]
    assert set(Product.objects.values_list("category__name", flat=True)) == {"Food", "Tea"}
    undo(staff, request_id=f"edit/{EditJob.objects.get().pk}")
    assert read_shop() == before


def test_a_large_merge_is_a_job_that_goes_on_after_its_worker_died(
    office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, inc = make_brand("Acme"), make_brand("Acme Inc")
    for _ in range(4):
        make_product(brand=inc)
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(jobs, "BATCH", {"postgresql": 2, "sqlite": 2})
    merge(office, BRANDS, acme, inc, into=acme)
    job = EditJob.objects.get()
    assert job.status == "queued"
    make_product(brand=inc)  # later than the preview: it would be left without a brand
    held = job.claim_step()
    assert isinstance(held, EditJob)
    jobs.run_edit(held, 0.0)  # one batch, then the worker is gone
    EditJob.objects.update(leased_until=None)
    assert Product.objects.filter(brand=acme).count() == 2
    advance_edit.call(job.pk)
    assert EditJob.objects.get().status == "ready"
    assert Product.objects.filter(brand=acme).count() == 5
    assert list(Brand.objects.all()) == [acme]


def test_what_cant_be_merged_is_refused_before_anything_moves(office: Client) -> None:
    food, drinks = make_category("Food"), make_category("Drinks")
    tea = make_category("Drinks", "Tea")
    make_category("Food", "Tea")
    make_product(category=drinks)
    before = read_shop()
    for rows, into, told in (
        ((food, drinks), food, "Both have a category"),
        ((tea, drinks), tea, "into one that is below it"),
        ((food,), food, "Select 2 to 20 categories"),
    ):
        assert told in merge(office, CATEGORIES, *rows, into=into)
    assert read_shop() == before
    assert not EditJob.objects.exists()


def test_a_brand_that_somebody_deleted_meanwhile_fails_the_job_with_a_sentence(
    office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, inc = make_brand("Acme"), make_brand("Acme Inc")
    product = make_product(brand=inc)
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 0)
    merge(office, BRANDS, acme, inc, into=acme)
    acme.delete()
    advance_edit.call(EditJob.objects.get().pk)
    job = EditJob.objects.get()
    assert (job.status, job.error) == ("failed", "Somebody deleted Acme meanwhile; choose another brand.")
    product.refresh_from_db()
    assert product.brand == inc


@pytest.mark.parametrize("missing", ["delete_brand", "change_brand", "change_product"])
def test_merging_needs_the_permissions_of_the_api(missing: str) -> None:
    clerk = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    codes = {"view_brand", "delete_brand", "change_brand", "change_product"} - {missing}
    clerk.user_permissions.set(Permission.objects.filter(codename__in=codes))
    browser = Client()
    browser.force_login(clerk)
    acme, inc = make_brand("Acme"), make_brand("Acme Inc")
    merge(browser, BRANDS, acme, inc, into=acme)
    assert Brand.objects.count() == 2
    assert "Merge into one" not in browser.get(BRANDS).content.decode()
