"""Every address of the admin: who may only look writes nothing by it, and a form of another site is refused."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client, RequestFactory

from accounts.models import User
from accounts.orders import place_order
from catalog.models import Attribute, Location
from config.api.database.observers import note_statements
from tests.factories import make_brand, make_category, make_product, make_user
from tests.test_any_text import PLACE, list_routes

# Who may what lies above the database.
pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]

WRITE = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')
# What a visit writes, and what is the visitor's own: tokens, and views of lists.
OWN = {"django_session", "accounts_sessionowner", "accounts_authtoken", "accounts_event", "config_api_savedview"}
WRITING = (
    *("catalog/product", "catalog/product/1/delete", "catalog/brand/1/change", "catalog/stock", "catalog/image"),
    *("catalog/undojob/begin", "accounts/order", "accounts/order/1/step", "accounts/user/1/change", "auth/group/add"),
)


class Form(HTMLParser):
    """The fields of a page's forms as a browser sends them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields = dict[str, list[str]]()
        self.chosen: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name"), given.get("value") or ""
        if tag == "select":
            self.chosen = name
        elif tag == "option" and self.chosen and "selected" in given:
            self.add(self.chosen, value)
        elif tag == "textarea" and name:
            self.fields.setdefault(name, ["text"])
        elif tag == "input" and name and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        self.fields.setdefault(name, []).append(value)


def list_addresses() -> Iterator[tuple[Any, str]]:
    """The admin page and the address of each route, with a row's key where the route has a place for it."""
    for model, page in admin.site._registry.items():
        key = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
        start = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for route in list_routes():
            if route.startswith(start) and (key is not None or not PLACE.search(route)):
                yield page, PLACE.sub(str(key), route)
    yield None, "/admin/views/"
    yield None, "/admin/password_change/"


def list_posts(page: Any, address: str, root: Client, user: User) -> Iterator[dict[str, Any]]:
    """What may be posted: the page's form as it is, and each action of a list."""
    shown = root.get(address, follow=True)
    fields = Form(shown.content.decode()).fields if not shown.streaming else {}
    yield fields | {"_save": "1", "save": "1", "name": "mine", "dry_run": "0", "step": "paid"}
    if page is not None and address.endswith(f"/{page.opts.model_name}/"):
        request = RequestFactory().get(address)
        request.user = user
        key = str(page.model._default_manager.order_by("pk").values_list("pk", flat=True).first())
        for name in page.get_actions(request):
            yield {"action": name, "_selected_action": [key], "post": "yes", "confirmed": "1", "index": "0"}


def write(client: Client, address: str, post: dict[str, Any] | None) -> set[str]:
    """The tables that the request writes. What it has written is undone."""
    with transaction.atomic(), note_statements() as statements:
        client.raise_request_exception = False
        answer = client.get(address) if post is None else client.post(address, post)
        assert answer.status_code < 500, address
        transaction.set_rollback(True)
    return {table for sql in statements for table in WRITE.findall(sql)} - OWN


@pytest.fixture
def shop(db: None) -> None:
    tea = make_product(sku="TEA", stock=9, brand=make_brand("Acme"), category=make_category("Food"))
    Attribute.objects.create(name="volts")
    Location.objects.create(code="north")
    place_order(make_user(), [{"sku": tea.sku, "quantity": 2}])


def sign_in(user: User, **how: Any) -> Client:
    browser = Client(**how)
    browser.force_login(user)
    return browser


def test_who_may_only_look_writes_nothing(shop: None, admin_user: User) -> None:
    viewer = make_user(is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    root, browser, written = sign_in(admin_user), sign_in(viewer), dict[str, set[str]]()
    for page, address in list_addresses():
        assert write(browser, address, None) == set(), address
        for post in list_posts(page, address, root, admin_user):
            assert write(browser, address, post) == set(), (address, post)
            written.setdefault(address, set()).update(write(root, address, post))
    # The same requests write, where they come from somebody who may.
    assert {name for name in written if written[name]} > {f"/admin/{name}/" for name in WRITING}


def test_no_form_of_another_site_is_taken(shop: None, admin_user: User) -> None:
    browser = sign_in(admin_user, enforce_csrf_checks=True)
    found = {address: browser.post(address, {"step": "paid"}).status_code for _, address in list_addresses()}
    assert len(found) > 100
    assert set(found.values()) == {403}, found
