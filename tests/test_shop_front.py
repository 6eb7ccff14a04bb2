"""The shop front in tests/shop/ works in a browser, on another origin than the API: from the search to the order."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from accounts.models import Order, Registration, User
from catalog.models import Product, Stock, Variant
from tests.factories import make_brand, make_category, make_product, make_user
from tests.launching import ROOT, find_database_url, launch_server
from tests.together import run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.once]

PAGE = (ROOT / "tests/shop/index.html").read_text()
API = "http://127.0.0.1:8000/api/v1/"


@pytest.fixture
def front() -> Iterator[Any]:
    """A server with the page, on an origin of its own. `front.api` is the API's address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(PAGE.replace(API, server.api).encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.api, server.url = API, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_page_names_the_address_of_make_run_and_keeps_no_token() -> None:
    assert PAGE.count(API) == 1
    assert "innerHTML" not in PAGE
    assert "localStorage.setItem" in PAGE
    assert not [line for line in PAGE.splitlines() if "torage" in line and "token =" in line]


def fill_shop() -> None:
    make_product(
        sku="TEA", title="Green Tea", price="4.50", stock=5, brand=make_brand("Acme"), category=make_category("Food"),
    )  # fmt: skip
    for number in range(30):
        make_product(sku=f"CUP-{number}", title=f"Cup {number}", price="9.00", brand=make_brand("Tidewater"))
    Variant.objects.create(
        product=Product.objects.get(sku="TEA"), sku="TEA-L", price="9.90", options={"Size": "L"}, position=2
    )
    make_user(email="mia@example.com")
    # The tests' own hasher is one that no server takes.
    User.objects.update(password=PBKDF2PasswordHasher().encode("secret", "salt", iterations=1000))


def test_a_visitor_finds_orders_and_cancels(front: Any) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    fill_shop()
    variables = {"DATABASE_URL": find_database_url(), "CORS_ALLOWED_ORIGINS": front.url, "REGISTRATION": "true"}
    with launch_server(**variables) as (url, _), playwright.sync_playwright() as started:
        front.api = f"{url}/api/v1/"
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(20_000)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(front.url)
        walk_list(page)
        walk_search(page)
        walk_basket(page)
        number = walk_order(page)
        walk_expired_session(page)
        walk_registration(page)
        assert page.evaluate("Object.keys(localStorage)") == ["basket"]
        browser.close()
    assert wrong == []
    order = Order.objects.get(number=number)
    assert (order.status, order.note, order.shipping_address["city"]) == ("canceled", "Ring twice", "Bath")
    assert order.lines.get().quantity == 2
    assert Stock.objects.get(variant__sku="TEA").reserved == 0
    assert Registration.objects.get().email == "max@example.com"


def walk_list(page: Any) -> None:
    page.wait_for_selector(".card")
    assert page.locator(".card").count() == 24
    page.get_by_role("button", name="Show more").click()
    page.wait_for_function("document.querySelectorAll('.card').length === 31")
    page.get_by_role("checkbox", name="Acme").check()
    page.wait_for_function("document.querySelectorAll('.card').length === 1")
    # A facet is counted without its own filter.
    assert "30" in page.locator("label", has_text="Tidewater").inner_text()


def walk_search(page: Any) -> None:
    """By the keyboard alone."""
    page.get_by_role("combobox").focus()
    page.keyboard.type("gree")
    option = page.get_by_role("option", name="Green Tea")
    option.wait_for()
    while option.get_attribute("aria-selected") != "true":
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Green Tea").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1"


def walk_basket(page: Any) -> None:
    page.get_by_text("L", exact=True).click()
    page.get_by_text("Sold out").wait_for()
    assert page.get_by_role("button", name="Put into the basket").is_disabled()
    page.locator(".options label").first.click()
    page.get_by_role("button", name="Put into the basket").click()
    page.locator("header").get_by_role("link", name="Basket (1)").click()
    page.get_by_label("Pieces of Green Tea").fill("2")
    page.get_by_label("Pieces of Green Tea").press("Tab")
    page.get_by_role("link", name="Basket (2)").wait_for()
    page.get_by_role("link", name="Sign in to order").click()
    page.locator("#sign-in").get_by_label("E-mail address").fill("mia@example.com")
    page.locator("#sign-in").get_by_label("Password").fill("wrong")
    page.locator("#sign-in").get_by_role("button").click()
    page.get_by_text("The e-mail address or the password is wrong.").wait_for()
    page.locator("#sign-in").get_by_label("Password").fill("secret")
    page.locator("#sign-in").get_by_role("button").click()


def walk_refusals(page: Any) -> None:
    """Too many pieces, then no network: what was typed stays. The price is today's."""
    # In a thread of its own: Django refuses queries beside Playwright's loop.
    run_together([lambda: Variant.objects.filter(sku="TEA").update(price="4.80")])
    change_pieces(page, 9, "$43.20")
    page.get_by_role("button", name="Place the order").click()
    page.get_by_text("Fewer pieces are left of Green Tea").wait_for()
    change_pieces(page, 2, "$9.60")
    page.context.set_offline(True)
    page.get_by_role("button", name="Place the order").click()
    page.get_by_text("The shop can't be reached. Try again.").wait_for()
    page.context.set_offline(False)


def change_pieces(page: Any, number: int, total: str) -> None:
    page.get_by_label("Pieces of Green Tea").fill(str(number))
    page.get_by_label("Pieces of Green Tea").press("Tab")
    page.locator(".price", has_text=total).wait_for()


def walk_order(page: Any) -> str:
    """The number of the order."""
    for label, text in (("Name", "Mia Wu"), ("Address", "1 High St"), ("City", "Bath"), ("Note", "Ring twice")):
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_label("Country, by its two letters").fill("gb")
    walk_refusals(page)
    page.get_by_role("button", name="Place the order").click()
    page.get_by_role("heading", name="Order ").wait_for()
    number = str(page.url.rpartition("/")[2])
    assert page.get_by_label("Note", exact=True).input_value() == "Ring twice"
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel the order").click()
    page.get_by_text("canceled").wait_for()
    page.get_by_role("link", name="Orders").click()
    page.get_by_role("link", name=number).wait_for()
    return number


def walk_expired_session(page: Any) -> None:
    """Whose token ends is told so, signs in again, and is back."""
    page.evaluate("token = '0'.repeat(64)")
    page.get_by_role("link", name="Basket").click()
    page.get_by_role("link", name="Orders").click()
    page.get_by_text("Your session has ended.").wait_for()
    page.locator("#sign-in").get_by_label("E-mail address").fill("mia@example.com")
    page.locator("#sign-in").get_by_label("Password").fill("secret")
    page.locator("#sign-in").get_by_role("button").click()
    page.get_by_role("heading", name="Your orders").wait_for()


def walk_registration(page: Any) -> None:
    page.get_by_role("link", name="Account").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_text("New here? Register").click()
    page.locator("#register").get_by_label("E-mail address").fill("max@example.com")
    page.locator("#register").get_by_label("Password").fill("17 sheep in a boat")
    page.locator("#register").get_by_role("button").click()
    page.get_by_text("A mail with a link is on its way").wait_for()
