"""What a shop-keeper does once a week, in Chromium: as in test_shopkeeper_day.py, each task is walked and counted."""

import re
from typing import Any

import pytest

from accounts.models import Order, User
from accounts.orders import move_order, place_order
from catalog.models import Brand, Category, ImportJob, Product, ScheduledPrice, Stock, Variant
from tests.catalog.conftest import run_import
from tests.catalog.staff import test_shopkeeper_day as day
from tests.factories import make_brand, make_category, make_product

keeper, walk, shop = day.keeper, day.walk, day.shop

# Page loads and clicks.
WEEK = {
    "merge two brands": (3, 5),
    "find the products without a picture": (2, 3),
    "rename a category that has others below it": (3, 3),
    "take a tag off all products that have it": (5, 9),
    "plan a sale of a brand": (3, 6),
    "paste a count of stock": (3, 5),
    "find a variant by its barcode": (2, 2),
    "print the packing slip of an order": (0, 2),
    "send a part of an order": (2, 2),
    "take a piece back": (2, 2),
    "correct the address of an order": (2, 2),
    "let a colleague look at the catalogue": (4, 6),
}


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_a_week_takes_as_many_loads_and_clicks_as_the_guide_says(walk: Any, shop: Order) -> None:
    walk_catalogue(walk)
    walk_lists(walk)
    walk_order(walk, shop)
    walk_colleague(walk)
    assert walk.measured == WEEK


def walk_catalogue(walk: Any) -> None:
    product = make_product(brand=make_brand("Acme Inc"), category=make_category("Food", "Tea"), images=1)
    product.variants.update(barcode="4006381333931")
    with walk.task("merge two brands"):
        walk.click("a:has-text('Brands') >> nth=0", loads=True)
        walk.click("#action-toggle")
        walk.run_action("merge_rows")
        walk.click("button:text-is('Merge')", loads=True)
        assert "Merge Acme Inc into Acme" in walk.page.content()
    assert Brand.objects.count() == 1
    assert Product.objects.filter(brand__slug="acme").count() == 3
    with walk.task("find the products without a picture"):
        walk.click("a:has-text('Products') >> nth=0", loads=True)
        walk.click(".filter-open-button")
        walk.click("#changelist-filter >> text=Picture", loads=True)
        assert product.sku not in walk.page.inner_text("#result_list")
    with walk.task("rename a category that has others below it"):
        walk.click("a:has-text('Categories') >> nth=0", loads=True)
        walk.click("#result_list a:text-is('Food')", loads=True)
        walk.page.fill("[name=name]", "Groceries")
        walk.click("button[name=_save]", loads=True)
    assert Category.objects.get(name="Tea").breadcrumb == "Groceries > Tea"
    with walk.task("find a variant by its barcode"):
        walk.click("a:has-text('Variants') >> nth=0", loads=True)
        walk.page.fill("[name=q]", "4006381333931")
        walk.press("Enter", loads=True)
        assert product.sku in walk.page.inner_text("#result_list")


def walk_lists(walk: Any) -> None:
    page = walk.page
    Product.objects.filter(brand__slug="acme").update(attributes={"tags": ["sale", "new"]})
    with walk.task("take a tag off all products that have it"):
        walk.click("a:has-text('Products') >> nth=0", loads=True)
        walk.click(".filter-open-button")
        page.fill("#changelist-filter [name=tag]", "sale")
        walk.press("Enter", loads=True)
        walk.click("#action-toggle")
        walk.run_action("edit_many")
        walk.choose("[name=edit]", "tags")
        page.fill("[name=remove_tags]", "sale")
        walk.click("text=Preview", loads=True)
        walk.click("text=Edit 3 products", loads=True)
    assert {
        tag
        for tags in Product.objects.filter(brand__slug="acme").values_list("attributes__tags", flat=True)
        for tag in tags
    } == {"new"}
    with walk.task("plan a sale of a brand", begin="/admin/catalog/product/?brand=acme"):
        walk.click("#action-toggle")
        walk.run_action("edit_many")
        walk.choose("[name=edit]", "price")
        page.fill("[name=amount]", "-20")
        page.fill("[name=begins]", "2099-11-27T00:00")
        page.fill("[name=ends]", "2099-12-01T00:00")
        walk.click("text=Preview", loads=True)
        walk.click("text=Edit 3 products", loads=True)
    assert ScheduledPrice.objects.filter(starts_at__year=2099).count() == 3
    # Not of the order that is walked next.
    first, second = Variant.objects.filter(product__brand__slug="acme").order_by("-pk")[:2]
    with walk.task("paste a count of stock"):
        walk.click("a:has-text('Import jobs') >> nth=0", loads=True)
        walk.click("a[href$='/importjob/add/'] >> nth=0", loads=True)
        walk.click("#import-paste summary")
        page.fill("#import-paste textarea", f"{first.sku}, 17\n{second.sku}, 0\nNOBODY, 1\n")
        walk.click("#import-paste button")
        page.wait_for_selector("text=Line 4: sku: There is no variant with the SKU 'NOBODY'")
        walk.click("[data-start]", loads=True)
    run_import(ImportJob.objects.latest("pk").pk)
    assert [row.stock.get().on_hand for row in (first, second)] == [17, 0]


def walk_order(walk: Any, order: Order) -> None:
    page, row = walk.page, f"/admin/accounts/order/{order.pk}/change/"
    with walk.task("print the packing slip of an order", begin=row):
        with page.expect_popup() as opened:
            walk.click("a:text-is('Packing slip')")
        opened.value.emulate_media(media="print")
        walk.clicks += 1  # Print
        assert order.number in opened.value.inner_text("main")
        opened.value.close()
    with walk.task("send a part of an order", begin=row):
        walk.click("a:has-text('Send pieces')", loads=True)
        page.fill("input[type=number]", "1")
        walk.click("button:text-is('Send pieces')", loads=True)
    with walk.task("take a piece back", begin=row):
        walk.click("a:has-text('Take pieces back')", loads=True)
        page.fill("input[type=number]", "1")
        walk.click("button:text-is('Take pieces back')", loads=True)
        assert "Took back 1 of" in page.inner_text("body")
    stock = Stock.objects.get(variant__sku=order.lines.get().sku)
    assert (stock.on_hand, stock.reserved) == (5, 1)
    move_order(order, "canceled")
    other = place_order(order.user, [{"sku": order.lines.get().sku, "quantity": 1}])
    with walk.task("correct the address of an order", begin=f"/admin/accounts/order/{other.pk}/change/"):
        walk.click("a:has-text('Correct it') >> nth=0", loads=True)
        for name, text in {"name": "Mia Berg", "line1": "Long Lane 1", "city": "Ghent", "country": "BE"}.items():
            page.fill(f"[name={name}]", text)
        walk.click("button:text-is('Save')", loads=True)
    other.refresh_from_db()
    assert other.shipping_address["city"] == "Ghent"


def walk_colleague(walk: Any) -> None:
    page, secret = walk.page, "a longer sentence, 17 sheep"
    with walk.task("let a colleague look at the catalogue"):
        walk.click("a:has-text('Users') >> nth=0", loads=True)
        walk.click("a[href$='/user/add/'] >> nth=0", loads=True)
        page.fill("[name=email]", "new@example.com")
        page.fill("[name=password1]", secret)
        page.fill("[name=password2]", secret)
        walk.click("button[name=_save]", loads=True)
        walk.click("[name=is_staff]")
        page.locator("#id_groups_from option:text-is('Catalogue viewer')").dblclick()
        walk.clicks += 1
        walk.click("button[name=_save]", loads=True)
    colleague = User.objects.get(email="new@example.com")
    assert colleague.has_perm("catalog.view_product")
    assert not colleague.has_perm("catalog.change_product")


@pytest.mark.once
def test_the_guide_has_these_figures() -> None:
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \|$", day.GUIDE.read_text(), re.MULTILINE)
    told = {name: (int(loads), int(clicks)) for name, clicks, loads in rows}
    assert {name: told.get(name) for name in WEEK} == WEEK
