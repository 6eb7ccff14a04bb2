"""Editing many products at once in the admin: what is previewed is what is written, once, and can be taken back."""

import re
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from catalog.edits import jobs, kinds
from catalog.edits.models import EditJob
from catalog.edits.tasks import advance_edit
from catalog.models import Attribute, Location, Product, Stock, Variant
from tests.catalog.changes.undo.shop import read_shop, undo
from tests.factories import make_brand, make_category, make_product, make_user

pytestmark = pytest.mark.django_db

PRODUCTS, BEGIN = "/admin/catalog/product/", "/admin/catalog/editjob/begin/"
RAISE = {"edit": "price", "price_how": "percent", "amount": "5"}

type Form = dict[str, str]


@pytest.fixture
def office(admin_user: User) -> Client:
    """A superuser's browser."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


def select(browser: Client, query: str = "", *products: Product) -> Form:
    """What the list's action makes of the products, or of all that it shows with `query`."""
    rows = products or Product.objects.all()[:1]
    body = {"action": "edit_many", "_selected_action": [row.pk for row in rows]}
    answer = browser.post(f"{PRODUCTS}?{query}", body | ({} if products else {"select_across": "1"}))
    assert answer.status_code == 302, answer.content
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def preview(browser: Client, form: Form) -> tuple[str, Form]:
    """The page as text, and what its button would post."""
    page = browser.get(BEGIN, form).content.decode()
    _, _, last = page.rpartition('<form method="post"')
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', last)
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))
    return text, {name: unescape(value) for name, value in fields}


def edit(browser: Client, form: Form) -> EditJob:
    _, posted = preview(browser, form)
    assert browser.post(BEGIN, posted).status_code == 302
    return EditJob.objects.latest("pk")


def list_prices() -> list[str]:
    return [str(price) for price in Variant.objects.order_by("pk").values_list("price", flat=True)]


@pytest.mark.slow
def test_prices_of_a_brand_rise_by_per_cent_and_come_back(office: Client, staff: APIClient) -> None:
    acme = make_brand("Acme")
    make_product(brand=acme, price="10.00", variants=2)
    make_product(brand=acme, price="4.90")
    make_product(price="10.00")
    before = read_shop()
    form = select(office, "brand=acme") | RAISE
    page, _ = preview(office, form)
    assert "2 products : all that the list shows with its filter" in page
    assert "4.90 5.15" in page
    assert read_shop() == before

    job = edit(office, form)
    assert list_prices() == ["10.50", "10.50", "5.15", "10.00"]
    assert (job.status, job.report) == ("ready", {"changed": 3, "unchanged": 0, "refused": 0})
    shown = office.get(f"/admin/catalog/editjob/{job.pk}/change/").content.decode()
    assert "Price: +5 %" in shown
    assert f"undojob/begin/?request_id=edit%2F{job.pk}" in shown
    undo(staff, request_id=f"edit/{job.pk}")
    assert read_shop() == before


@pytest.mark.parametrize(
    ("form", "told", "found"),
    [
        ({"edit": "status", "status": "archived"}, "Active Archived", {"status": "archived"}),
        ({"edit": "brand", "brand": "acme"}, "- Acme", {"brand__slug": "acme"}),
        ({"edit": "category", "category": "food-tea"}, "- Food > Tea", {"category__slug": "food-tea"}),
        ({"edit": "category", "category": ""}, "- as it is", {"category": None}),
        ({"edit": "tags", "add_tags": "sale, new", "remove_tags": "old"}, "old sale, new", {}),
        ({"edit": "attribute", "attribute": "width", "value": "4.5"}, "- 4.5", {}),
        ({"edit": "attribute", "attribute": "organic", "value": "yes"}, "- true", {}),
        ({"edit": "attribute", "attribute": "fabric", "value": ""}, "linen -", {}),
        ({"edit": "price", "price_how": "set", "amount": "7"}, "10.00 7.00", {"price": Decimal("7.00")}),
        ({"edit": "price", "price_how": "add", "amount": "-2.5"}, "10.00 7.50", {"price": Decimal("7.50")}),
        ({"edit": "price", "price_how": "round"}, "10.00 9.99", {"price": Decimal("9.99")}),
        ({"edit": "stock", "stock_how": "set", "pieces": "7"}, "1 7", {}),
        ({"edit": "stock", "stock_how": "add", "pieces": "2", "location": "North", "reason": "count"}, "0 2", {}),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) and "edit" in value else None,
)
def test_each_kind_writes_what_it_previews(form: Form, told: str, found: dict[str, Any], office: Client) -> None:
    Attribute.objects.bulk_create([Attribute(name="width", type="number"), Attribute(name="organic", type="boolean")])
    product = make_product(attributes={"fabric": "linen", "tags": ["old"]})
    Location.objects.create(code="north")
    keys = {"brand": make_brand("Acme").pk, "category": make_category("Food", "Tea").pk}
    linked = {name: str(keys[name]) if name in keys and text else text for name, text in form.items()}
    page, _ = preview(office, select(office, "", product) | linked)
    assert f"{product.sku} {told}" in page
    job = edit(office, select(office, "", product) | linked)
    assert (job.status, job.report["refused"]) == ("ready", 0)
    assert Product.objects.filter(pk=product.pk, **found).exists()
    stored = Product.objects.get().attributes
    match form:
        case {"edit": "tags"}:
            assert stored == {"fabric": "linen", "tags": ["sale", "new"]}
        case {"edit": "attribute", "attribute": name}:
            assert (stored.get(name), type(stored.get(name))) in ((4.5, float), (True, bool), (None, type(None)))
        case {"edit": "stock", "pieces": pieces}:
            row = Stock.objects.get(location=form.get("location", "main").lower())
            assert (str(row.on_hand), row.reason) == (pieces, form.get("reason", ""))


@pytest.mark.parametrize(
    ("price", "rounded"), [("0.10", "0.99"), ("1.48", "0.99"), ("1.49", "1.99"), ("10.00", "9.99"), ("10.99", "10.99")]
)
def test_prices_are_rounded_to_the_nearest_that_ends_in_99(price: str, rounded: str) -> None:
    assert str(kinds.round_to_99(Decimal(price))) == rounded


@pytest.mark.slow
def test_rows_that_cant_be_edited_are_listed_and_the_others_written(office: Client) -> None:
    kept = make_product(stock=5)
    make_product(stock=5)
    Stock.objects.filter(variant__product=kept).update(reserved=4)
    job = edit(office, select(office) | {"edit": "stock", "stock_how": "set", "pieces": "3"})
    assert job.report == {"changed": 1, "unchanged": 0, "refused": 1}
    assert [(refusal["sku"], "4 reserved" in refusal["detail"]) for refusal in job.refusals] == [(kept.sku, True)]
    assert kept.sku in office.get(f"/admin/catalog/editjob/{job.pk}/change/").content.decode()
    cheap = edit(office, select(office, "", kept) | {"edit": "price", "price_how": "add", "amount": "-11"})
    assert "below 0" in cheap.refusals[0]["detail"]


def test_what_somebody_changed_since_the_preview_is_left_to_them(office: Client) -> None:
    theirs, mine = make_product(price="10.00"), make_product(price="10.00")
    _, posted = preview(office, select(office) | RAISE)
    Variant.objects.filter(product=theirs).update(price="12.00")
    Variant.objects.filter(product=mine).update(barcode="another column")
    office.post(BEGIN, posted)
    job = EditJob.objects.get()
    assert list_prices() == ["12.00", "10.50"]
    assert [refusal["sku"] for refusal in job.refusals] == [theirs.sku]
    assert "from 10.00 to 12.00" in job.refusals[0]["detail"]


def test_a_product_that_came_into_the_filter_since_the_preview_isnt_edited(office: Client) -> None:
    make_product(status="draft")
    moved = make_product(status="active")
    _, posted = preview(office, select(office, "status__exact=draft") | RAISE)
    Product.objects.filter(pk=moved.pk).update(status="draft")
    make_product(status="draft")  # as is one that is new
    office.post(BEGIN, posted)
    assert list_prices() == ["10.50", "10.00", "10.00"]
    assert "status since the preview" in EditJob.objects.get().refusals[0]["detail"]


def test_what_got_the_tag_since_the_preview_isnt_edited(office: Client) -> None:
    make_product(attributes={"tags": ["sale"]})
    moved = make_product(attributes={"tags": ["new"]})
    _, posted = preview(office, select(office, "tag=sale") | RAISE)
    Product.objects.filter(pk=moved.pk).update(attributes={"tags": ["sale"]})
    office.post(BEGIN, posted)
    assert list_prices() == ["10.50", "10.00"]
    assert "tags since the preview" in EditJob.objects.get().refusals[0]["detail"]


def test_a_button_that_is_pressed_twice_changes_prices_once(office: Client) -> None:
    make_product(price="10.00")
    _, posted = preview(office, select(office) | RAISE)
    for _ in range(2):
        office.post(BEGIN, posted)
    assert list_prices() == ["10.50"]


def test_a_large_edit_is_a_job_that_goes_on_after_its_worker_died(
    office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(jobs, "BATCH", {"sqlite": 2, "postgresql": 2})
    for _ in range(5):
        make_product(price="10.00")
    job = edit(office, select(office) | RAISE)
    assert (job.status, job.rows_total) == ("queued", 5)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "STEP_SECONDS", 0.0)
        held = job.claim_step()
        assert isinstance(held, EditJob)
        jobs.run_edit(held, 0.0)  # one batch, then the worker is gone
    EditJob.objects.update(leased_until=None)
    assert list_prices() == ["10.50"] * 2 + ["10.00"] * 3
    advance_edit.call(job.pk)
    job.refresh_from_db()
    assert list_prices() == ["10.50"] * 5
    assert (job.status, job.rows_done, job.report["changed"]) == ("ready", 5, 5)


def test_whoever_may_not_change_prices_cant_do_it_here(office: Client) -> None:
    make_product(price="10.00")
    editor = make_user("Catalogue editor", is_staff=True)
    _, posted = preview(office, select(office) | RAISE)
    browser = Client()
    browser.force_login(make_user(is_staff=True))
    assert browser.get(BEGIN).status_code == 403
    assert browser.post(BEGIN, posted).status_code == 403
    editor.groups.get().permissions.filter(codename="change_variant").delete()
    browser.force_login(editor)
    assert "catalog.change_variant" in browser.post(BEGIN, posted, follow=True).content.decode()
    # Nor in the worker, if the permission went meanwhile.
    job = EditJob(owner=editor, values=RAISE, until_key=10**9, rows_total=1)
    assert jobs.submit_edit(job).status == "failed"
    assert list_prices() == ["10.00"]


@pytest.mark.slow
def test_a_form_that_says_too_little_says_what_is_missing(office: Client) -> None:
    form = select(office, "", make_product())
    for values, said in (
        ({"edit": "price", "price_how": "percent", "amount": "five"}, "is not a number"),
        ({"edit": "price", "price_how": "percent", "amount": "-101"}, "Give -100 to 9,900 per cent."),
        ({"edit": "tags"}, "Name a tag to add or to remove."),
        ({"edit": "attribute", "attribute": "tags", "value": "x"}, "Tags are a list"),
        ({"edit": "stock", "pieces": "-1"}, "below 0"),
        ({"edit": "stock", "pieces": "1", "location": "man"}, "Did you mean main?"),
    ):
        page, posted = preview(office, form | values)
        assert said in page
        assert not posted.get("since")
    broken = office.get(BEGIN, {"keys": "one"}, follow=True).content.decode()
    assert "Begin the edit from the list of products" in broken
