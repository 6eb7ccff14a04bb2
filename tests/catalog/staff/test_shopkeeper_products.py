"""A shop-keeper's day with products, in a browser: each task with its clicks and page loads (README.md)."""

import os
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.launching import launch_server, run_command

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.once]

KEEPER = """
from django.core.management import call_command
call_command("seed", products=20)
from accounts.models import User
keeper = User.objects.create_superuser("keeper@example.com", "secret")
from accounts.orders import move_order, place_order
from catalog.models import Variant
sku = Variant.objects.filter(product__status="active", stock__on_hand__gt=3).order_by("pk")[0].sku
move_order(place_order(keeper, [{"sku": sku, "quantity": 2}]), "paid")
place_order(keeper, [{"sku": sku, "quantity": 1}])
"""


class Keeper:
    """Somebody at a browser, whose clicks and page loads are counted."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.clicks = self.loads = 0
        self.errors: list[str] = []
        page.on("load", self.note_load)
        page.on("pageerror", lambda error: self.errors.append(str(error.stack)))

    def note_load(self, *_: Any) -> None:
        self.loads += 1

    def begin(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")
        self.clicks, self.loads = 0, 1

    def click(self, target: Any) -> None:
        (self.page.locator(target) if isinstance(target, str) else target).first.click()
        self.clicks += 1

    def save(self) -> None:
        with self.page.expect_navigation():
            self.click("button[name=_save]")

    def read(self, path: str) -> Any:
        return self.page.request.get(f"{self.url}/api/v1/{path}").json()

    def spend(self) -> tuple[int, int]:
        assert not self.errors
        return self.clicks, self.loads


@pytest.fixture(scope="module")
def server(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("keeper")
    database = shutil.copy(migrated, folder / "shop.sqlite3")
    places = {
        "DATABASE_URL": f"sqlite:///{database}",
        "MEDIA_STORAGE_URL": f"file://{folder}/media",
        "EXPORT_STORAGE_URL": f"file://{folder}/files",
    }
    done = run_command("manage.py", "shell", "-v0", "-c", KEEPER, **places)
    assert done.returncode == 0, done.stderr
    with launch_server(**places) as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser(server: str) -> Iterator[Any]:
    """Signed in once, and with scripts and styles that it has compiled once."""
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        browser = chromium.new_context(viewport={"width": 1280, "height": 1000})
        sign_in(browser.new_page(), server)
        yield browser


def sign_in(page: Any, server: str) -> None:
    page.goto(f"{server}/admin/login/")
    page.fill("[name=username]", "keeper@example.com")
    page.fill("[name=password]", "secret")
    with page.expect_navigation():
        page.click("button[type=submit]")
    page.close()


@pytest.fixture
def keeper(server: str, browser: Any) -> Iterator[Keeper]:
    page = browser.new_page()
    yield Keeper(page, server)
    page.close()


def drag_to_top(page: Any, rows: Any, position: int) -> None:
    """As a hand does: the row follows the pointer, at its own pace, and is let go where it is wanted."""
    names = rows.locator("input[name$='-id']")
    dragged = names.nth(position).get_attribute("name")
    start = rows.nth(position).get_by_text("drag_indicator").first.bounding_box()
    page.mouse.move(start["x"] + 8, start["y"] + 8)
    page.mouse.down()
    for step in range(60):
        top = rows.nth(0).bounding_box()["y"] + 5
        page.mouse.move(start["x"] + 8, max(start["y"] - 10 * step, top + step % 2))
        if names.nth(0).get_attribute("name") == dragged:
            break
        page.wait_for_timeout(20)
    page.mouse.up()


def draw(color: str) -> dict[str, Any]:
    out = BytesIO()
    Pillow.new("RGB", (300, 200), color).save(out, "JPEG")
    return {"name": f"{color}.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}


def test_a_product_with_six_variants_and_three_pictures_is_added_on_one_page(keeper: Keeper) -> None:
    keeper.begin("/admin/catalog/product/add/")
    page = keeper.page
    page.fill("[name=title]", "Harbour Tee")
    page.fill("[name=sku]", "TEE")
    page.set_input_files("[name=pictures]", [draw(color) for color in ("red", "green", "blue")])
    assert page.locator(".tenfold-chosen img").count() == 3
    keeper.click(".tenfold-matrix summary")
    kinds = page.locator(".tenfold-matrix [data-kind]")
    for number, texts in enumerate((("Size", "S, M, L"), ("Colour", "Red, Navy"))):
        for place, text in enumerate(texts):
            kinds.nth(number).locator("input").nth(place).fill(text)
    page.fill(".tenfold-matrix [data-price]", "19.90")
    keeper.click(".tenfold-matrix [data-make]")
    page.get_by_text("6 added below").wait_for()
    # A form with an error leads to it, and what describes a field is there; files have to be chosen again.
    page.fill("[name=title]", "")
    keeper.save()
    field = page.locator("[name=title]:focus[aria-invalid=true]")
    assert page.locator(f"[id='{field.get_attribute('aria-describedby')}']").inner_text() == "This field is required."
    assert page.get_by_text("loses its files: red.jpg, green.jpg, blue.jpg").is_visible()
    page.fill("[name=title]", "Harbour Tee")
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"notes"}
    page.set_input_files("[name=pictures]", [draw("red"), notes, draw("green"), draw("blue")])
    assert page.get_by_text("Left out, since it is no JPEG, PNG or WebP: notes.txt.").is_visible()
    assert not page.get_by_text("loses its files").count()
    keeper.clicks, keeper.loads = 2, 1
    keeper.save()
    [row] = keeper.read("products/?sku=TEE&expand=images,variants")["results"]
    assert [variant["sku"] for variant in row["variants"]] == [
        "TEE-S-RED", "TEE-S-NAVY", "TEE-M-RED", "TEE-M-NAVY", "TEE-L-RED", "TEE-L-NAVY",
    ]  # fmt: skip
    assert row["variants"][3]["options"] == {"Size": "M", "Colour": "Navy"}
    assert {variant["price"] for variant in row["variants"]} == {"19.90"}
    assert [(image["position"], image["width"]) for image in row["images"]] == [(1, 300), (2, 300), (3, 300)]
    assert keeper.spend() == (3, 2)


def test_a_product_is_duplicated(keeper: Keeper) -> None:
    [row] = keeper.read("products/?sku=TF-00000007&expand=variants,images")["results"]
    keeper.begin(f"/admin/catalog/product/{row['id']}/change/")
    with keeper.page.expect_navigation():
        keeper.click(keeper.page.get_by_role("button", name="Duplicate"))
    keeper.page.fill("[name=title]", "Keld Cotton Cardigan")
    keeper.save()
    [copy] = keeper.read("products/?sku=TF-00000007-COPY&expand=variants,images")["results"]
    assert (copy["title"], copy["status"], copy["in_stock"]) == ("Keld Cotton Cardigan", "draft", False)
    assert [one["url"] for one in copy["images"]] == [one["url"] for one in row["images"]]
    assert [one["options"] for one in copy["variants"]] == [one["options"] for one in row["variants"]]
    assert copy["variants"][0]["sku"] == "TF-00000007-COPY-1"
    assert keeper.spend() == (2, 3)


def test_pictures_are_put_in_order_by_dragging(keeper: Keeper) -> None:
    row = next(row for row in keeper.read("products/?expand=images&page_size=20")["results"] if len(row["images"]) >= 3)
    keeper.begin(f"/admin/catalog/product/{row['id']}/change/")
    keeper.click(keeper.page.locator("#tabs-items").get_by_text("Images"))
    rows = keeper.page.locator("#images-group tbody.original")
    drag_to_top(keeper.page, rows, 2)
    keeper.clicks += 1
    keeper.save()
    first, second, third, *others = [one["id"] for one in row["images"]]
    assert list_pictures(keeper, row["id"]) == [third, first, second, *others]
    assert keeper.spend() == (3, 2)
    # By keyboard.
    keeper.begin(f"/admin/catalog/product/{row['id']}/change/")
    keeper.click(keeper.page.locator("#tabs-items").get_by_text("Images"))
    rows.nth(0).get_by_role("button", name="Move this row").press("ArrowDown")
    assert keeper.page.get_by_text(f"Now 2 of {rows.count()}.").count() == 1
    keeper.save()
    assert list_pictures(keeper, row["id"]) == [first, third, second, *others]


def list_pictures(keeper: Keeper, product: int) -> list[int]:
    return [one["id"] for one in keeper.read(f"products/{product}/?expand=images")["images"]]


def test_pictures_are_added_by_their_file_names(keeper: Keeper) -> None:
    rows = {sku: keeper.read(f"products/?sku={sku}&expand=variants,images")["results"][0] for sku in SKUS}
    variant = rows[SKUS[1]]["variants"][0]["sku"]
    colors = {
        f"{SKUS[0]}-10.png": "red",
        f"{SKUS[0]}-9.PNG": "green",
        f"{variant}.png": "blue",
        "nobody-2.png": "black",
    }
    keeper.begin("/admin/catalog/image/")
    keeper.click("a:has-text('Add by file name')")
    keeper.page.locator("#pictures [type=file]").set_input_files(
        [draw(color) | {"name": name} for name, color in colors.items()] + [{**draw("white"), "name": "x.png"}]
    )
    keeper.page.get_by_text("3 pictures found a product, 2 did not.").wait_for()
    assert "nobody-2.png" in keeper.page.locator("#pictures tbody tr").first.inner_text()
    keeper.click("[data-start]")
    keeper.page.get_by_text("3 pictures added, 2 not.").wait_for()
    assert keeper.spend() == (2, 2)
    for sku, number in zip(SKUS, (2, 1), strict=True):
        added = [
            one
            for one in keeper.read(f"products/{rows[sku]['id']}/images/")["results"]
            if one not in rows[sku]["images"]
        ]
        assert len(added) == number
        assert all("/media/" in one["url"] for one in added)
    green = keeper.read(f"products/{rows[SKUS[0]]['id']}/images/")["results"][-2]["url"]
    red, pure, blue = Pillow.open(BytesIO(keeper.page.request.get(green).body())).getpixel((0, 0))
    assert pure > red + blue, "9 is before 10"


SKUS = ("TF-00000003", "TF-00000004")
SUPPLIER = "Artikelnummer;Bezeichnung;Preis;Lager\nL-1;Lampe;12.50;4\nL-2;Stuhl;99.00;viele\n"


def test_a_file_with_unknown_column_names_is_imported(keeper: Keeper) -> None:
    keeper.begin("/admin/catalog/importjob/add/")
    page = keeper.page
    file = {"name": "supplier.csv", "mimeType": "text/csv", "buffer": SUPPLIER.encode()}
    page.set_input_files("[name=upload]", file)
    page.get_by_text("supplier.csv has no column sku").wait_for()
    for column, field in (
        ("Artikelnummer", "sku"),
        ("Bezeichnung", "title"),
        ("Preis", "price"),
        ("Lager", "stock"),
    ):
        with page.expect_response("**/imports/preview/"):
            page.get_by_label(f"Field of {column}").select_option(field)
        keeper.clicks += 1
    page.get_by_text("1 created, 1 refused").wait_for()
    page.get_by_text("Line 3: Lager: 'viele' is not a number").wait_for()
    with page.expect_response("**/imports/preview/"):
        page.select_option("[name=missing]", "archive")
    page.fill("[data-recipe-name]", "Supplier")
    keeper.click("[data-keep]")
    page.get_by_text("“Supplier” is kept.").wait_for()
    assert keeper.read("imports/recipes/")["results"][0]["options"]["missing"] == "archive"
    with page.expect_response("**/imports/preview/"):
        page.select_option("[name=missing]", "")
    with page.expect_navigation():
        keeper.click("[data-start]")
    [job] = keeper.read("imports/")["results"]
    assert page.url.endswith(f"/admin/catalog/importjob/{job['id']}/change/")
    assert job["status"] in ("queued", "running", "ready")
    assert job["map"] == "sku=Artikelnummer,title=Bezeichnung,price=Preis,stock=Lager"
    assert keeper.clicks == 6
    # The next file of this supplier takes one choice.
    keeper.begin("/admin/catalog/importjob/add/")
    page.set_input_files("[name=upload]", file)
    page.get_by_text("supplier.csv has no column sku").wait_for()
    page.select_option("[data-recipe]", "Supplier")
    page.get_by_text("1 created, 1 refused").wait_for()
    assert page.input_value("[name=missing]") == "archive"
    assert not keeper.errors


def test_stock_and_a_price_are_changed_in_the_table_of_variants(keeper: Keeper) -> None:
    [row] = keeper.read("products/?sku=TF-00000002&expand=variants")["results"]
    keeper.begin(f"/admin/catalog/product/{row['id']}/change/")
    keeper.page.fill("[name=variants-0-on_hand]", "77")
    keeper.page.fill("[name=variants-0-price]", "12.34")
    keeper.save()
    variant = keeper.read(f"variants/{row['variants'][0]['sku']}/?expand=stock")
    assert variant["price"] == "12.34"
    assert {one["location"]: one["on_hand"] for one in variant["stock"]}["main"] == 77
    assert keeper.spend() == (1, 2)


# The folder of the npm package axe-core; `make test-clients` installs it.
AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[2] / "real_clients/node_modules/axe-core")) / "axe.min.js"
PAGES = (
    *("/admin/", "/admin/catalog/product/", "/admin/catalog/product/add/", "/admin/catalog/importjob/add/"),
    *("/admin/exports/exportjob/add/", "/admin/accounts/user/add/", "/admin/catalog/category/add/"),
    *("/admin/catalog/image/by-name/", "/admin/catalog/editjob/begin/?keys=1&edit=price", "/admin/catalog/variant/"),
    # Of a paid order, and of one that is only placed.
    *(f"/admin/accounts/order/{page}/" for page in ("1/change", "1/send", "1/slip", "2/ship_to")),
    *("/", "/api/v1/products/"),
)
FIND_FAULTS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((fault) => ["serious", "critical"].includes(fault.impact))
    .map((fault) => `${fault.id}: ${fault.nodes.map((node) => node.target.join(" ")).slice(0, 5)}`)"""


@pytest.mark.skipif(not AXE.exists(), reason="axe-core isn't installed: make test-clients, or AXE_CORE=its folder")
def test_no_page_shuts_somebody_out(keeper: Keeper) -> None:
    """axe finds nothing serious, in light and in dark, wide and on a phone; no page is wider than its screen."""
    page, found = keeper.page, []
    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 1000})
        for path in PAGES:
            keeper.begin(path)
            page.evaluate(AXE.read_text())
            faults = page.evaluate(FIND_FAULTS)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults.append("wider than the screen")
            found += [(path, scheme, fault) for fault in faults]
    assert not found
