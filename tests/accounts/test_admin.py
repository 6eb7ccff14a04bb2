"""The admin of accounts: users by address, tokens without secrets, orders that stay what they were."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Address, AuthToken, Order, OrderLine, SessionOwner, User
from accounts.orders import move_order, place_order
from catalog.models import Stock
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

USERS = "/admin/accounts/user/"
TOKENS = "/admin/accounts/authtoken/"
SESSIONS = "/admin/accounts/sessionowner/"
ORDERS = "/admin/accounts/order/"


@pytest.fixture
def office(admin_user: User) -> Client:
    """A superuser's browser."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


@pytest.fixture
def clerk(db: None) -> Client:
    """Staff with every right over users, and no superuser."""
    user = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    browser = Client()
    browser.force_login(user)
    return browser


def make_order(user: User, lines: int = 1) -> Order:
    order = Order.objects.create(number=f"T-{user.pk}", user=user, total=Decimal("9.50"))
    OrderLine.objects.bulk_create(
        OrderLine(order=order, sku=f"S-{number}", title=f"Line {number}", price=1) for number in range(lines)
    )
    return order


def run_action(browser: Client, path: str, action: str, selected: list[Any], **more: Any) -> str:
    values = {"action": action, "_selected_action": selected, "index": "0", "select_across": "0"} | more
    return browser.post(path, values, follow=True).content.decode()


# -- signing in --------------------------------------------------------------------------------------------------


def test_who_signs_in_at_the_admin_gets_there(db: None) -> None:
    User.objects.create_superuser("root@example.com", "root")
    for query, place in (("", "/admin/"), ("?next=/admin/accounts/order/", "/admin/accounts/order/")):
        answer = Client().post(f"/admin/login/{query}", {"username": "root@example.com", "password": "root"})
        assert answer["Location"] == place


def test_staff_sign_in_by_address_whatever_its_case(db: None) -> None:
    User.objects.create_superuser("root@example.com", "root")
    answer = Client().post("/admin/login/?next=/admin/", {"username": "ROOT@example.com", "password": "root"})
    assert answer.status_code == 302
    assert answer["Location"] == "/admin/"


@pytest.mark.parametrize("password", ["wrong", "right"])
def test_a_refused_sign_in_is_told_once(password: str, db: None) -> None:
    User.objects.create_user("mia@example.com", "right")
    page = Client().post("/admin/login/", {"username": "mia@example.com", "password": password}).content.decode()
    assert page.count("errornote") == 1
    assert page.count("for a staff account") == 1


def test_a_customer_stays_out(db: None) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("mia@example.com", "x"))
    assert browser.get("/admin/")["Location"].startswith("/admin/login/")


# -- users -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 50])
def test_a_list_of_users_costs_five_queries(
    size: int, office: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    User.objects.bulk_create(User(email=f"u{number}@example.com") for number in range(size - 1))
    # 1. the session  2. the user  3. the bounded count  4. the page  5. saved views
    with django_assert_num_queries(5):
        office.get(USERS)


def test_a_user_is_added_by_address_and_signs_in(office: Client) -> None:
    secret = "a longer sentence, 17 sheep"
    values = {"email": "New@Example.com", "usable_password": "true", "password1": secret, "password2": secret}
    answer = office.post(f"{USERS}add/", values)
    assert answer.status_code == 302, answer.context["errors"]
    assert User.objects.get(email="New@example.com").check_password(secret)
    again = office.post(f"{USERS}add/", values | {"email": "new@example.com"})
    assert "already exists" in again.content.decode()


def test_a_password_is_changed_and_its_hash_is_not_shown(office: Client) -> None:
    user = User.objects.create_user("mia@example.com", "x")
    page = office.get(f"{USERS}{user.pk}/change/").content.decode()
    assert user.password.rsplit("$", 1)[-1] not in page
    secret = "a longer sentence, 17 sheep"
    assert office.get(f"{USERS}{user.pk}/password/").status_code == 200
    office.post(f"{USERS}{user.pk}/password/", {"usable_password": "true", "password1": secret, "password2": secret})
    user.refresh_from_db()
    assert user.check_password(secret)


@pytest.mark.parametrize("term", ["mia@example.com", "MIA@Example.com", "mia"])
def test_users_are_found_by_address_or_its_beginning(term: str, office: Client) -> None:
    mia = User.objects.create_user("mia@example.com", "x")
    assert list(office.get(USERS, {"q": term}).context["cl"].result_list) == [mia]


def test_a_user_with_orders_is_not_deleted(office: Client) -> None:
    mia = User.objects.create_user("mia@example.com", "x")
    order = make_order(mia)
    for answer in (
        office.post(f"{USERS}{mia.pk}/delete/", {"post": "yes"}).content.decode(),
        run_action(office, USERS, "delete_selected", [mia.pk], post="yes"),
    ):
        assert "1 order uses it." in answer
    order.delete()
    Address.objects.create(user=mia, name="Mia", line1="1 High St", city="Bath", country="GB")
    _, secret = AuthToken.objects.create(user=mia)
    page = office.get(f"{USERS}{mia.pk}/delete/").content.decode()
    assert "Addresses: 1" in page
    assert AuthToken.objects.get().digest not in page
    assert secret
    assert office.post(f"{USERS}{mia.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=mia.pk).exists()


def test_only_a_superuser_adds_changes_or_deletes_a_superuser(clerk: Client, admin_user: User) -> None:
    mia = User.objects.create_user("mia@example.com", "x")
    answer = clerk.post(
        f"{USERS}{mia.pk}/change/",
        {"email": mia.email, "first_name": "Mia", "is_active": "on", "is_superuser": "on", "is_staff": "on"},
    )
    assert answer.status_code == 302
    mia.refresh_from_db()
    assert (mia.first_name, mia.is_staff, mia.is_superuser) == ("Mia", False, False)
    assert clerk.post(f"{USERS}{admin_user.pk}/password/", {"password1": "x", "password2": "x"}).status_code == 403
    assert clerk.post(f"{USERS}{admin_user.pk}/delete/", {"post": "yes"}).status_code == 403
    page = run_action(clerk, USERS, "delete_selected", [admin_user.pk, mia.pk], post="yes")
    assert "has permissions that you lack" in page
    assert User.objects.filter(pk__in=(admin_user.pk, mia.pk)).count() == 2


@pytest.fixture
def editor(db: None) -> User:
    """Somebody with a permission that the clerk hasn't got."""
    user = make_user("Catalogue editor")
    user.email = "editor@example.com"
    user.save()
    return user


@pytest.mark.parametrize("change", [{}, {"is_active": False}, {"is_staff": True}])
def test_nobody_changes_a_user_with_more_permissions(change: dict[str, bool], clerk: Client, editor: User) -> None:
    User.objects.filter(pk=editor.pk).update(**change)
    secret = "a longer sentence, 17 sheep"
    body = {"usable_password": "true", "password1": secret, "password2": secret}
    assert clerk.post(f"{USERS}{editor.pk}/password/", body).status_code == 403
    assert clerk.post(f"{USERS}{editor.pk}/change/", {"email": "clerk+1@example.com"}).status_code == 403
    assert clerk.post(f"{USERS}{editor.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "has permissions that you lack" in run_action(clerk, USERS, "delete_selected", [editor.pk], post="yes")
    kept = User.objects.get(pk=editor.pk)
    assert (kept.email, kept.password) == (editor.email, editor.password)


def test_a_user_with_all_permissions_of_another_may_set_the_password(clerk: Client) -> None:
    peer = User.objects.create_user("peer@example.com", "x", is_staff=True)
    peer.user_permissions.set(Permission.objects.filter(codename__in=("view_user", "view_order")))
    secret = "a longer sentence, 17 sheep"
    body = {"usable_password": "true", "password1": secret, "password2": secret}
    assert clerk.post(f"{USERS}{peer.pk}/password/", body).status_code == 302
    assert User.objects.get(pk=peer.pk).check_password(secret)


def test_only_staff_change_a_staff_user(db: None) -> None:
    staff, customer = (User.objects.create_user(f"u{n}@example.com", "x", is_staff=bool(n)) for n in (1, 0))
    assert staff.covers(customer)
    assert not customer.covers(staff)


def test_nobody_gives_a_group_a_permission_that_they_lack(clerk: Client) -> None:
    giver, group = User.objects.get(email="clerk@example.com"), Group.objects.create(name="Desk")
    giver.user_permissions.add(*Permission.objects.filter(content_type__app_label="auth"))
    theirs, wanted = (Permission.objects.get(codename=name) for name in ("view_order", "delete_product"))
    path = f"/admin/auth/group/{group.pk}/change/"
    for target in (path, "/admin/auth/group/add/"):
        page = clerk.post(target, {"name": "Desk 2", "permissions": [theirs.pk, wanted.pk]}).content.decode()
        assert "You don&#x27;t have catalog.delete_product, so you can&#x27;t give it." in page
    assert list(group.permissions.all()) == []
    # What the group has already stays: to keep it isn't to give it.
    group.permissions.add(wanted)
    assert clerk.post(path, {"name": "Desk", "permissions": [theirs.pk, wanted.pk]}).status_code == 302
    assert set(group.permissions.all()) == {theirs, wanted}


def test_a_superuser_gives_a_group_anything(office: Client) -> None:
    every = list(Permission.objects.values_list("pk", flat=True))
    assert office.post("/admin/auth/group/add/", {"name": "All", "permissions": every}).status_code == 302
    assert Group.objects.get(name="All").permissions.count() == len(every)


def test_groups_open(office: Client) -> None:
    group = Group.objects.create(name="Editors")
    assert "Editors" in office.get("/admin/auth/group/", {"q": "Edit"}).content.decode()
    assert office.get(f"/admin/auth/group/{group.pk}/change/").status_code == 200


# -- tokens ------------------------------------------------------------------------------------------------------


def test_a_list_of_tokens_shows_no_digest_and_no_secret(office: Client, admin_user: User) -> None:
    token, secret = AuthToken.objects.create(user=admin_user, name="laptop", expiry=timedelta(days=1))
    page = office.get(TOKENS).content.decode()
    assert "laptop" in page
    assert f"{token.token_key[:6]}…" in page
    assert token.digest not in page
    assert secret not in page
    for path in ("add/", f"{token.digest}/change/", f"{token.digest}/delete/"):
        assert office.get(f"{TOKENS}{path}").status_code == 403


def test_tokens_are_revoked_by_a_list(office: Client, admin_user: User) -> None:
    gone, _ = AuthToken.objects.create(user=admin_user, name="lost")
    kept, _ = AuthToken.objects.create(user=admin_user, name="kept")
    assert "1 token revoked." in run_action(office, TOKENS, "revoke", [gone.token_key])
    assert list(AuthToken.objects.all()) == [kept]
    assert "2 auth tokens" not in office.get(TOKENS).content.decode()


def test_tokens_are_filtered_by_user_and_by_expiry(office: Client, admin_user: User) -> None:
    AuthToken.objects.create(user=admin_user, name="new", expiry=timedelta(days=1))
    AuthToken.objects.create(user=admin_user, name="old", expiry=timedelta(days=-1))
    AuthToken.objects.create(user=User.objects.create_user("mia@example.com", "x"), name="theirs")
    for query, names in (
        ({"expired": "yes"}, {"old"}),
        ({"expired": "no"}, {"new", "theirs"}),
        ({"of_user": "Mia@example.com"}, {"theirs"}),
        ({"q": "mia@example.com"}, {"theirs"}),
    ):
        assert {token.name for token in office.get(TOKENS, query).context["cl"].result_list} == names


def test_revoking_needs_the_right(db: None) -> None:
    viewer = User.objects.create_user("viewer@example.com", "x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_authtoken"))
    browser = Client()
    browser.force_login(viewer)
    token, _ = AuthToken.objects.create(user=viewer)
    run_action(browser, TOKENS, "revoke", [token.token_key])
    assert AuthToken.objects.exists()


# -- sessions ----------------------------------------------------------------------------------------------------


def sign_in(user: User, *permissions: str) -> tuple[Client, SessionOwner]:
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser, SessionOwner.objects.get(user=user)


def test_sessions_are_ended_by_a_list(office: Client) -> None:
    browser, theirs = sign_in(User.objects.create_user("mia@example.com", "x", is_staff=True))
    assert browser.get("/admin/").status_code == 200
    assert "1 session ended." in run_action(office, SESSIONS, "end", [theirs.pk])
    assert browser.get("/admin/").status_code == 302
    assert office.get("/admin/").status_code == 200


def test_ending_a_session_needs_the_right(db: None) -> None:
    viewer = User.objects.create_user("viewer@example.com", "x", is_staff=True)
    browser, own = sign_in(viewer, "view_sessionowner")
    assert browser.get(SESSIONS).status_code == 200
    run_action(browser, SESSIONS, "end", [own.pk])
    assert SessionOwner.objects.filter(pk=own.pk).exists()


# -- orders ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 40])
def test_an_order_shows_its_lines_and_takes_only_a_status(
    lines: int, office: Client, django_assert_max_num_queries: Any
) -> None:
    order = make_order(User.objects.create_user("mia@example.com", "x"), lines)
    path = f"/admin/accounts/order/{order.pk}/change/"
    # session, user, savepoint, order, count of its lines, the lines, the user's name, the savepoint's end; lines and
    # changes for the timeline; the lines for what is left to be sent
    office.get(path)  # a process looks content types up once
    with django_assert_max_num_queries(12):
        page = office.get(path).content.decode()
    assert f"Line {lines - 1}" in page
    management = {"lines-TOTAL_FORMS": "0", "lines-INITIAL_FORMS": "0"}
    assert office.post(path, management | {"status": "paid", "total": "0.01"}).status_code == 302
    order.refresh_from_db()
    assert (order.status, order.total) == ("paid", Decimal("9.50"))
    assert OrderLine.objects.count() == lines
    assert office.get("/admin/accounts/order/add/").status_code == 403


def place(stock: int = 5, quantity: int = 2) -> Order:
    product = make_product(stock=stock)
    return place_order(make_user(), [{"sku": product.sku, "quantity": quantity}])


def test_an_order_changes_status_only_by_its_steps(office: Client) -> None:
    order = place()
    path, management = f"{ORDERS}{order.pk}/change/", {"lines-TOTAL_FORMS": "0", "lines-INITIAL_FORMS": "0"}
    assert "Select a valid choice" in office.post(path, management | {"status": "completed"}).content.decode()
    for status in ("paid", "shipped"):
        assert office.post(path, management | {"status": status}).status_code == 302
    stock = Stock.objects.get()
    assert (stock.on_hand, stock.reserved) == (3, 0)


def test_a_refused_step_is_shown_on_the_page(office: Client) -> None:
    order = place()
    path, management = f"{ORDERS}{order.pk}/change/", {"lines-TOTAL_FORMS": "0", "lines-INITIAL_FORMS": "0"}
    move_order(order, "paid")
    Stock.objects.update(reserved=0)
    page = office.post(path, management | {"status": "shipped"}, follow=True).content.decode()
    assert "Fewer pieces are reserved than ordered" in page
    order.refresh_from_db()
    assert order.status == "paid"


def test_each_of_many_orders_is_moved_by_itself(office: Client) -> None:
    first, second, shipped = place(), place(), place()
    for status in ("paid", "shipped"):
        move_order(shipped, status)
    selected = [first.pk, second.pk, shipped.pk]
    asked = run_action(office, ORDERS, "mark_canceled", selected)
    assert "<strong>3 orders</strong> will be marked as canceled" in asked
    assert f"<li>{shipped}, of {shipped.user}, shipped, 20.00 USD</li>" in asked
    assert Order.objects.filter(status="placed").count() == 2
    page = run_action(office, ORDERS, "mark_canceled", selected, confirmed="1")
    assert "2 orders marked as canceled." in page
    assert f"{shipped}: The order is shipped and can&#x27;t become canceled." in page
    assert not Stock.objects.filter(reserved__gt=0).exists()


def test_moved_orders_are_counted_though_they_leave_the_filter(office: Client) -> None:
    first, second = place(), place()
    page = run_action(office, f"{ORDERS}?status__exact=placed", "mark_paid", [first.pk, second.pk], confirmed="1")
    assert "2 orders marked as paid." in page


def test_an_order_that_holds_pieces_is_not_deleted(office: Client) -> None:
    order = place()
    assert "cancel it first" in office.post(f"{ORDERS}{order.pk}/delete/", {"post": "yes"}).content.decode()
    move_order(order, "canceled")
    assert office.post(f"{ORDERS}{order.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Order.objects.exists()


def test_orders_are_found_by_number_and_by_user(office: Client) -> None:
    mia, max_ = (User.objects.create_user(f"{name}@example.com", "x") for name in ("mia", "max"))
    ours = make_order(mia)
    make_order(max_)
    for query in ({"q": ours.number}, {"q": "mia@example.com"}, {"of_user": "mia@example.com"}):
        assert list(office.get("/admin/accounts/order/", query).context["cl"].result_list) == [ours]
    lines = office.get("/admin/accounts/orderline/", {"of_order": ours.number}).context["cl"]
    assert lines.result_count == 1
