"""A shop-keeper's day in Chromium: each task is walked, and its page loads and clicks are counted.

The table in README.md has the same figures. A key is a click, too, unless it is typed text.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from accounts.models import AuthToken, Order, User
from accounts.orders import move_order, place_order
from catalog.changes.undo.tasks import advance_undo
from catalog.models import ImportJob, Product, Stock, UndoJob, Variant
from config.api.models import SavedView
from exports.models import ExportJob
from tests.catalog.conftest import import_file, run_import
from tests.exports.conftest import run_job
from tests.factories import make_brand, make_caller, make_product, make_user
from tests.launching import find_database_url, launch_server

# Page loads and clicks, from the admin's first page.
DAY = {
    "change the prices of a brand by 5 %": (5, 11),
    "take that back": (3, 3),
    "save a view of drafts": (3, 5),
    "take a filter off": (1, 1),
    "archive everything that a filter shows": (2, 5),
    "find an order by its customer's name": (1, 4),
    "ship the next order": (3, 3),
    "make a token for oneself": (2, 3),
    "keep a title beside a colleague's": (2, 2),
    "see who changed a price and take it back": (4, 4),
    "plan a price": (3, 3),
    "put stock where it is low": (3, 3),
    "export a brand with the columns of one's choice": (3, 8),
    "mend the refused rows of an import and send them again": (4, 5),
    "undo an import of 6,000 rows while others edit": (5, 5),
}
# 6,000 in `make test-faults`.
WALKED_ROWS = int(os.environ.get("WALKED_ROWS", "600"))
GUIDE = Path(__file__).parent / "README.md"


class Walk:
    """A signed-in browser that counts."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.loads = self.clicks = 0
        self.measured: dict[str, tuple[int, int]] = {}
        page.on("load", lambda _: self.count_load())

    def count_load(self) -> None:
        self.loads += 1

    def click(self, selector: str, loads: bool = False) -> None:
        self.clicks += 1
        if loads:
            with self.page.expect_navigation():
                self.page.click(selector)
            self.page.wait_for_load_state()
        else:
            self.page.click(selector)

    def wait_for(self, selector: str) -> None:
        """The page of a job follows it until it has this, and keeps the focus: so it isn't loaded again."""
        loads = self.loads
        self.page.focus(".tenfold-skip")
        self.page.wait_for_selector(selector)
        assert (self.loads, self.page.locator(".tenfold-skip:focus").count()) == (loads, 1)

    def choose(self, selector: str, value: str) -> None:
        self.clicks += 1
        self.page.select_option(selector, value)

    def find(self, text: str, found: str) -> None:
        """Type into the open box of rows until it shows one. Before it has the focus, letters are the list's keys."""
        self.page.locator(".select2-search__field:focus").press_sequentially(text)
        self.page.wait_for_selector(f".select2-results__option:has-text('{found}')")

    def press(self, key: str, loads: bool = False) -> None:
        self.clicks += 1
        if loads:
            with self.page.expect_navigation():
                self.page.keyboard.press(key)
            self.page.wait_for_load_state()
        else:
            self.page.keyboard.press(key)

    def run_action(self, name: str) -> None:
        self.choose("select[name=action]", name)
        self.click("button[name=index]", loads=True)

    @contextmanager
    def task(self, name: str, begin: str = "/admin/") -> Iterator[None]:
        """Begins at a page, unless that is ""."""
        if begin:
            self.page.goto(f"{self.url}{begin}")
        self.loads = self.clicks = 0
        yield
        self.measured[name] = (self.loads, self.clicks)


@pytest.fixture
def keeper() -> User:
    user = make_user(email="keeper@example.com", is_staff=True, is_superuser=True)
    # The tests' own hasher is one that no server takes.
    User.objects.filter(pk=user.pk).update(password=PBKDF2PasswordHasher().encode("secret", "salt", iterations=1000))
    return user


@pytest.fixture
def walk(keeper: User, shop: Order, files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    playwright = pytest.importorskip("playwright.sync_api")
    # Playwright has a loop in this thread, and between two clicks the test looks into the database.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    # The test itself is the worker, and finds the files of jobs where the server puts them.
    places = {"DATABASE_URL": find_database_url(), "EXPORT_STORAGE_URL": f"file://{files}"}
    with launch_server(**places) as (url, _), playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}/admin/login/")
        page.fill("[name=username]", keeper.email)
        page.fill("[name=password]", "secret")
        page.press("[name=password]", "Enter")
        page.wait_for_url("**/admin/")
        yield Walk(page, url)
        browser.close()


@pytest.fixture
def shop() -> Order:
    """Acme's two products, 51 drafts, and a paid order of Mia Berg."""
    for price in ("10.00", "4.90"):
        make_product(brand=make_brand("Acme"), price=price, stock=5, images=0)
    for _ in range(51):
        make_product(status="draft", images=0)
    mia = make_user(email="mia@example.com", first_name="Mia", last_name="Berg")
    sku = Product.objects.filter(status="active")[0].sku
    return move_order(place_order(mia, [{"sku": sku, "quantity": 2}]), "paid")


def list_prices() -> list[str]:
    return [str(row) for row in Variant.objects.filter(product__brand__slug="acme").values_list("price", flat=True)]


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_a_day_takes_as_many_loads_and_clicks_as_the_guide_says(walk: Walk, shop: Order) -> None:
    walk_prices(walk)
    walk_views(walk)
    walk_orders(walk, shop)
    with walk.task("make a token for oneself"):
        walk.click("text=keeper@example.com >> nth=0")
        walk.click("text=Your tokens", loads=True)
        walk.page.fill("[name=name]", "till")
        walk.click("text=Make the token", loads=True)
        assert walk.page.inner_text("#secret")
    assert AuthToken.objects.get().name == "till"
    walk_edits(walk)
    walk_files(walk)
    assert walk.measured == DAY


def walk_prices(walk: Walk) -> None:
    before, page = list_prices(), walk.page
    with walk.task("change the prices of a brand by 5 %"):
        walk.click("a:has-text('Products') >> nth=0", loads=True)
        walk.click(".filter-open-button")
        walk.click("#changelist-filter .select2-selection >> nth=0")
        walk.find("acm", "Acme")
        walk.press("Enter")
        walk.click("#changelist-filter button[type=submit]", loads=True)
        walk.click("#action-toggle")
        walk.run_action("edit_many")
        walk.choose("[name=edit]", "price")
        page.fill("[name=amount]", "5")
        walk.click("text=Preview", loads=True)
        walk.click("text=Edit 2 products", loads=True)
    assert list_prices() == ["10.50", "5.15"]
    with walk.task("take that back", begin=""):
        walk.click("text=Undo this edit", loads=True)
        walk.click("text=Preview the undo", loads=True)
        walk.click("text=Undo now", loads=True)
    assert list_prices() == before


def walk_views(walk: Walk) -> None:
    with walk.task("save a view of drafts"):
        walk.click("a:has-text('Products') >> nth=0", loads=True)
        walk.click(".filter-open-button")
        walk.click("#changelist-filter >> text=Draft", loads=True)
        walk.click("summary:has-text('Views')")
        walk.page.fill("details [name=name]", "New drafts")
        walk.click("text=Save this view", loads=True)
    assert SavedView.objects.get().query == "status__exact=draft"
    with walk.task("archive everything that a filter shows", begin="/admin/catalog/product/?status__exact=draft"):
        walk.click("#action-toggle")
        walk.click("text=Select all 51 products")
        walk.run_action("archive")
        walk.click("text=Yes, go on", loads=True)
    assert Product.objects.filter(status="archived").count() == 51
    with walk.task("take a filter off", begin="/admin/catalog/product/?status__exact=draft&brand=acme"):
        walk.click("a[title='Take this filter off'] >> nth=0", loads=True)


def walk_orders(walk: Walk, order: Order) -> None:
    with walk.task("find an order by its customer's name"):
        walk.press("Control+k")
        walk.page.locator("#search-input-command").press_sequentially("Mia Berg")
        walk.page.wait_for_selector(f"[data-title='{order.number}']")
        walk.press("ArrowDown")  # the customer, then the order
        walk.press("ArrowDown")
        walk.press("Enter", loads=True)
        assert order.number in walk.page.content()
    with walk.task("ship the next order"):
        walk.click("a:has-text('Orders to ship')", loads=True)
        walk.click(f"text={order.number}", loads=True)
        walk.click("text=Mark as shipped", loads=True)
    order.refresh_from_db()
    assert order.status == "shipped"


def walk_edits(walk: Walk) -> None:
    product = Product.objects.filter(brand__slug="acme").earliest("pk")
    row, page = f"/admin/catalog/product/{product.pk}/change/", walk.page
    with walk.task("keep a title beside a colleague's", begin=row):
        Product.objects.filter(pk=product.pk).update(title="A colleague's title")
        page.fill("[name=title]", "My title")
        walk.click("button[name=_save]", loads=True)
        assert "A colleague's title" in page.inner_text("main, #content, body")
        walk.click("button[name=_save]", loads=True)
    product.refresh_from_db()
    assert product.title == "My title"
    variant = product.variants.get()
    before = variant.price
    slip = [{"sku": variant.sku, "price": "99.00"}]
    assert make_caller("Catalogue editor").patch("/api/v1/prices/bulk/", slip, format="json").status_code == 200
    with walk.task("see who changed a price and take it back", begin=row):
        walk.click("a:has-text('History') >> nth=0", loads=True)
        walk.click("a:text-is('Undo…') >> nth=0", loads=True)
        walk.click("text=Preview the undo", loads=True)
        walk.click("text=Undo now", loads=True)
    variant.refresh_from_db()
    assert variant.price == before
    with walk.task("plan a price"):
        walk.click("a:has-text('Scheduled prices') >> nth=0", loads=True)
        walk.click("a[href$='/scheduledprice/add/'] >> nth=0", loads=True)
        page.fill("[name=variant]", str(variant.pk))
        page.fill("[name=price]", "3.50")
        page.fill("[name=starts_at_0]", "2099-12-24")
        page.fill("[name=starts_at_1]", "08:00")
        walk.click("button[name=_save]", loads=True)
    assert variant.scheduled_prices.get().price == Decimal("3.50")
    with walk.task("put stock where it is low"):
        walk.click("a:has-text('Low stock') >> nth=0", loads=True)
        walk.click("#result_list th a >> nth=0", loads=True)
        page.fill("[name=on_hand]", "40")
        walk.click("button[name=_save]", loads=True)
    assert Stock.objects.filter(on_hand=40).exists()


def walk_files(walk: Walk) -> None:
    walk_export(walk)
    walk_mending(walk)
    walk_way_back(walk)


def walk_export(walk: Walk) -> None:
    page = walk.page
    with walk.task("export a brand with the columns of one's choice"):
        walk.click("a:has-text('Export jobs') >> nth=0", loads=True)
        walk.click("a[href$='/exportjob/add/'] >> nth=0", loads=True)
        walk.click("#id_filter-brand ~ .select2-container >> nth=0")
        walk.find("acm", "Acme")
        walk.press("Enter")
        walk.click("summary:has-text('Columns')")
        walk.click("[name=columns][value=url]")
        walk.click("text=Start the export", loads=True)
        run_job(ExportJob.objects.latest("pk").pk)
        walk.wait_for("a:text-is('Download')")
        with page.expect_download() as download:
            walk.click("a:text-is('Download')")
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 3
    assert "url" not in lines[0].split(",")


def walk_mending(walk: Walk) -> None:
    page = walk.page
    job = import_file(make_caller("Catalogue editor"), b"index,title,price\nMEND-1,Lamp,x\n", map="sku=index")
    with walk.task("mend the refused rows of an import and send them again"):
        walk.click("a:has-text('Import jobs') >> nth=0", loads=True)
        walk.click(f"#result_list a[href*='/{job.pk}/'] >> nth=0", loads=True)
        with page.expect_download() as download:
            walk.click("text=Download 1 refused rows")
        mended = Path(download.value.path()).read_bytes().replace(b",x,", b",7,")
        walk.click("text=Send the mended file", loads=True)
        page.set_input_files("[name=upload]", {"name": "mended.csv", "mimeType": "text/csv", "buffer": mended})
        page.wait_for_selector("text=1 created")
        walk.click("[data-start]", loads=True)
        run_import(ImportJob.objects.latest("pk").pk)
        walk.wait_for("text=products: 1 created")
    assert Product.objects.get(sku="MEND-1").price == 7


def work_off(job: UndoJob) -> None:
    while job.is_unfinished:  # a task ends after some seconds, and the next one goes on
        advance_undo.call(job.pk)
        job.refresh_from_db()


def walk_way_back(walk: Walk) -> None:
    rows = b"".join(b"BACK-%d,Lamp,1\n" % number for number in range(WALKED_ROWS))
    job = import_file(make_caller("Catalogue editor"), b"sku,title,price\n" + rows)
    with walk.task("undo an import of 6,000 rows while others edit"):
        walk.click("a:has-text('Import jobs') >> nth=0", loads=True)
        walk.click(f"#result_list a[href*='/{job.pk}/'] >> nth=0", loads=True)
        Product.objects.filter(sku="BACK-7").update(title="Edited before the undo")
        walk.click("text=Undo this import", loads=True)
        walk.click("text=Preview the undo", loads=True)
        work_off(UndoJob.objects.latest("pk"))
        walk.wait_for(f"text=product: {WALKED_ROWS - 1:,} deleted, 1 skipped")
        Product.objects.filter(sku="BACK-8").update(title="Edited between preview and undo")
        walk.click("text=Undo now", loads=True)
        work_off(UndoJob.objects.latest("pk"))
        walk.wait_for("text=Undo this undo")
    kept = Product.objects.filter(sku__startswith="BACK-").values_list("sku", flat=True)
    assert sorted(kept) == ["BACK-7", "BACK-8"]


@pytest.mark.once
def test_the_guide_has_these_figures() -> None:
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \|$", GUIDE.read_text(), re.MULTILINE)
    told = {name: (int(loads), int(clicks)) for name, clicks, loads in rows}
    assert {name: told.get(name) for name in DAY} == DAY
