"""The page of an order in the admin, its next step, and finding orders by their customer."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Address, Order, User
from accounts.orders import move_order, place_order
from accounts.staff.customers import find_customers
from catalog.models import Location, Stock
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

ORDERS = "/admin/accounts/order/"


@pytest.fixture
def office(admin_user: User) -> Client:
    """A superuser's browser."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


def place(user: User | None = None, **product: Any) -> Order:
    sku = make_product(**{"stock": 5} | product).sku
    return place_order(user or make_user(), [{"sku": sku, "quantity": 2}])


def read(browser: Client, path: str) -> str:
    page = browser.get(path).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def find(browser: Client, term: str) -> list[str]:
    return [order.number for order in browser.get(ORDERS, {"q": term}).context["cl"].result_list]


def test_an_order_shows_lines_with_pictures_totals_addresses_and_a_timeline(office: Client, admin_user: User) -> None:
    mia = make_user(first_name="Mia", last_name="Berg", email="mia@example.com")
    product = make_product(stock=5, price="4.50", title="Tea")
    address = {"name": "Mia Berg", "line1": "Long Lane 1", "city": "Ghent", "postcode": "9000", "country": "BE"}
    order = place_order(mia, [{"sku": product.sku, "quantity": 2}], shipping_address=address, note="Ring twice")
    office.post(f"{ORDERS}{order.pk}/step/", {"step": "paid"})
    path = f"{ORDERS}{order.pk}/change/"
    page = read(office, path)
    for text in ("Mia Berg , mia@example.com", "9.00 USD", "0 of 2", "Long Lane 1", "9000 Ghent", "Ring twice"):
        assert text in page
    assert f"{admin_user.email}: Marked order {order.number} as paid." in page
    assert f'src="{product.image_url}"' in office.get(path).content.decode()


def test_the_next_step_is_a_button_and_the_second_who_presses_it_is_told(office: Client) -> None:
    order = place()
    path = f"{ORDERS}{order.pk}/change/"
    page = read(office, path)
    assert "Mark as paid" in page
    assert "Cancel the order" in page
    assert "Mark as shipped" not in page
    for told in ("is paid now", "become paid"):
        answer = office.post(f"{ORDERS}{order.pk}/step/", {"step": "paid"}, follow=True)
        assert told in answer.content.decode()
    office.post(f"{ORDERS}{order.pk}/step/", {"step": "shipped"})
    stock = Stock.objects.get()
    assert (stock.on_hand, stock.reserved) == (3, 0), "shipped once"
    office.post(f"{ORDERS}{order.pk}/step/", {"step": "nonsense"})
    order.refresh_from_db()
    assert order.status == "shipped"


def test_before_an_order_is_canceled_a_page_asks(office: Client) -> None:
    order = place()
    path = f"{ORDERS}{order.pk}/step/"
    assert "There is no way back" in office.post(path, {"step": "canceled"}).content.decode()
    order.refresh_from_db()
    assert order.status == "placed"
    office.post(path, {"step": "canceled", "confirmed": "1"})
    order.refresh_from_db()
    assert order.status == "canceled"


def test_pieces_are_sent_and_taken_back_on_pages_of_their_own(office: Client) -> None:
    order = place()
    line, base = order.lines.get(), f"{ORDERS}{order.pk}/"
    assert "Send pieces" not in read(office, f"{base}change/")
    move_order(order, "paid")
    assert "Send pieces" in read(office, f"{base}change/")
    assert 'value="2"' in office.get(f"{base}send/").content.decode(), "what is left is proposed"
    office.post(f"{base}send/", {f"line-{line.pk}": 1})
    assert count_stock() == (4, 1)
    answer = office.post(f"{base}take_back/", {f"line-{line.pk}": 1, "restock": "on", "location": ""}, follow=True)
    assert "1 piece taken back." in answer.content.decode()
    assert count_stock() == (5, 1)
    office.post(f"{base}send/", {f"line-{line.pk}": 1})
    unseen = office.post(f"{base}take_back/", {f"line-{line.pk}": 1, "reason": "too\u202e big"}).content.decode()
    assert 'id="id_reason_error"' in unseen, "the field's aria-describedby names it"
    office.post(f"{base}take_back/", {f"line-{line.pk}": 1, "reason": "too <big>"})
    assert count_stock() == (4, 0), "not put on hand again"
    timeline = read(office, f"{base}change/")
    for told in (f"Placed order {order.number}: 20.00 USD.", f"Sent 1 of {line.sku}.", f"Took back 1 of {line.sku}."):
        assert told in timeline
    assert f"Took back 1 of {line.sku}. Reason: too &lt;big&gt;" in timeline
    assert "2 of 2, 2 back (too &lt;big&gt;)" in timeline
    assert f"Marked order {order.number} as shipped." in timeline
    assert "order_line" not in timeline
    assert "something that belongs" not in timeline
    assert "No piece is left for this." in read(office, f"{base}take_back/")


def test_a_form_that_is_sent_twice_moves_its_pieces_once(office: Client) -> None:
    order = place()
    move_order(order, "paid")
    path, name = f"{ORDERS}{order.pk}/send/", f"line-{order.lines.get().pk}"
    [shown] = re.findall(r'name="moved" value="(\d+)"', office.get(path).content.decode())
    for told in ("1 piece sent.", "Pieces of this order were moved since this page was shown."):
        assert told in office.post(path, {name: 1, "moved": shown}, follow=True).content.decode()
    assert count_stock() == (4, 1)
    assert 'name="moved" value="1"' in office.post(path, {name: 1, "moved": shown}).content.decode()
    office.post(path, {name: 1, "moved": 1})
    assert count_stock() == (3, 0)


def count_stock() -> tuple[int, int]:
    """On hand, and reserved."""
    stock = Stock.objects.get()
    return stock.on_hand, stock.reserved


def test_an_address_is_corrected_while_the_order_is_placed(office: Client) -> None:
    order, good = place(), {"name": "Mia Berg", "line1": "Long Lane 1", "city": "Ghent", "country": "BE"}
    path = f"{ORDERS}{order.pk}/ship_to/"
    assert path in office.get(f"{ORDERS}{order.pk}/change/").content.decode()
    page = office.post(path, good | {"country": "Belgium", "city": ""}).content.decode()
    assert "Give two capital letters (ISO 3166), as in GB." in page
    assert "This field is required." in page
    assert "The address is corrected." in office.post(path, good, follow=True).content.decode()
    order.refresh_from_db()
    assert order.shipping_address == good | {"line2": "", "postcode": ""}
    assert 'value="Long Lane 1"' in office.get(path).content.decode()
    move_order(order, "paid")
    assert "only while it is placed" in office.post(path, good | {"city": "Bruges"}).content.decode()
    assert path not in office.get(f"{ORDERS}{order.pk}/change/").content.decode()


def test_the_second_who_corrects_an_address_is_shown_what_the_first_wrote(office: Client) -> None:
    order, good = place(), {"name": "Mia Berg", "line1": "Long Lane 1", "city": "Ghent", "country": "BE"}
    path = f"{ORDERS}{order.pk}/ship_to/"
    shown = {f"initial-{name}": "" for name in (*good, "line2", "postcode")}
    anna = Client()
    anna.force_login(User.objects.create_superuser("anna@example.com", "x"))
    anna.post(path, good | shown)
    page = office.post(path, good | shown | {"line1": "Short Lane 2"}).content.decode()
    assert "anna@example.com changed this to “Long Lane 1”" in page
    assert page.count("changed this to") == 1, "both wrote the same town"
    order.refresh_from_db()
    assert order.shipping_address["line1"] == "Long Lane 1"
    again = {name: re.search(rf'name="{name}" value="([^"]*)"', page) for name in shown}
    told = {name: found[1] if found else "" for name, found in again.items()}
    assert office.post(path, good | told | {"line1": "Short Lane 2"}).status_code == 302
    order.refresh_from_db()
    assert order.shipping_address["line1"] == "Short Lane 2"


def test_a_packing_slip_shows_what_is_left_and_no_prices(office: Client) -> None:
    order = place(price="4.56")
    move_order(order, "paid")
    path = f"{ORDERS}{order.pk}/slip/"
    assert path in office.get(f"{ORDERS}{order.pk}/change/").content.decode()
    page = read(office, path)
    assert order.number in page
    assert f"{order.lines.get().sku} Product" in page
    assert "4.56" not in page


def test_too_many_pieces_are_refused_beside_their_line_and_none_with_a_sentence(office: Client) -> None:
    order = place()
    move_order(order, "paid")
    path, name = f"{ORDERS}{order.pk}/send/", f"line-{order.lines.get().pk}"
    for number, told in (
        (3, "less than or equal to 2"),
        (0, "Give at least one piece."),
        (-1, "greater than or equal"),
    ):
        assert told in office.post(path, {name: number}).content.decode()
    move_order(order, "canceled")
    assert "can&#x27;t become shipped" in office.post(path, {name: 1}).content.decode()
    assert count_stock() == (5, 0)


def test_pieces_that_come_back_can_be_put_elsewhere(office: Client) -> None:
    order = place()
    for status in ("paid", "shipped"):
        move_order(order, status)
    Location.objects.create(code="attic", priority=9, sellable=False)
    path, name = f"{ORDERS}{order.pk}/take_back/", f"line-{order.lines.get().pk}"
    office.post(path, {name: 2, "restock": "on", "location": "attic"})
    assert Stock.objects.get(location="attic").on_hand == 2


def test_whoever_may_only_view_orders_moves_none() -> None:
    order = place()
    viewer = make_user(is_staff=True)
    browser = Client()
    browser.force_login(viewer)
    for way in ("step", "send", "take_back", "ship_to", "slip"):
        assert browser.post(f"{ORDERS}{order.pk}/{way}/", {"step": "paid"}).status_code == 403
    from_group = make_user("Support", is_staff=True)
    from_group.groups.get().permissions.filter(codename="change_order").delete()
    browser.force_login(from_group)
    assert "Mark as paid" not in browser.get(f"{ORDERS}{order.pk}/change/").content.decode()
    assert browser.post(f"{ORDERS}{order.pk}/step/", {"step": "paid"}).status_code == 403
    order.refresh_from_db()
    assert order.status == "placed"


@pytest.mark.parametrize("moves", [0, 3])
def test_a_timeline_costs_the_same_however_long_it_is(moves: int, office: Client) -> None:
    order = place()
    for status in ("paid", "shipped", "completed")[:moves]:
        move_order(order, status)
    with CaptureQueriesContext(connection) as queries:
        office.get(f"{ORDERS}{order.pk}/change/")
    assert len(queries) <= 17, [query["sql"][:90] for query in queries]


@pytest.mark.slow
def test_orders_are_found_by_their_customers_name_and_address(office: Client) -> None:
    mia = make_user(first_name="Mia", last_name="van den Berg", email="mia@example.com")
    Address.objects.create(user=mia, name="Berg & Co", line1="1", city="Ghent", country="BE")
    own, other = place(mia), place(make_user(first_name="Otto", last_name="Berg"))
    for term in ("van den berg", "mia", "Berg & Co", "mia@example.com", "MIA@", own.number.lower()):
        assert find(office, term) == [own.number], term
    assert find(office, "Otto Berg") == [other.number]
    assert find(office, "Berg") == [other.number]
    assert find(office, own.lines.get().sku) == [own.number]
    assert find(office, "nobody") == []
    assert find_customers("Otto  Berg") == [other.user_id]


def test_indexes_find_customers(office: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        find_customers("Mia Berg")
    [sql] = [query["sql"] for query in queries]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{sql}")
        plan = " ".join(str(row) for row in cursor.fetchall())
    for index in ("user_email_once", "user_by_last_name", "user_by_first_name", "address_by_name"):
        assert index in plan, plan
