"""Who may what: every operation of the OpenAPI document, for every kind of caller. A new one without a row fails.

`owner` and `other` have no role; the order, the address and the token that the paths name are the owner's, the export
is the partner's, the import the editor's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.events import Event
from accounts.models import Address, SessionOwner, User
from accounts.orders import place_order
from accounts.tokens import issue_token
from catalog.models import Attribute, ImportJob, ImportRecipe, Location, Product, ScheduledPrice, UndoJob
from config.api.access.scopes import SCOPES
from config.api.database.authorship import sign_writes
from config.api.jobs.files import write_file
from config.api.webhooks.models import Webhook
from config.logs import REQUEST_ID
from exports.models import ExportJob, Feed
from tests.documents import read_document
from tests.factories import make_brand, make_category, make_product, make_user

# Who may what doesn't depend on the database; each route's SQL is asked on both by schemathesis.
pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]

# What an operation takes of a token: `root`'s with this scope alone gets root's answer, and with all others a 403.
SCOPES_OF = (
    ("auth/", "accounts", "accounts"),
    ("changes/undo/", "undo", "undo"),
    ("changes/", "changes:read", "changes:read"),
    ("exports/", "exports", "exports"),
    ("imports/", "imports", "imports"),
    ("me/orders/", "orders:read", "orders:read"),
    ("me/", "accounts", "accounts"),
    ("orders/", "orders:read", "orders:write"),
    ("products/{product}/history/", "changes:read", "changes:read"),
    ("users/{user}/orders/", "orders:read", "orders:read"),
    ("users/", "accounts", "accounts"),
    ("webhooks/", "webhooks", "webhooks"),
    ("feeds/", "feeds", "feeds"),
    ("", "catalogue:read", "catalogue:write"),
)
# For every token, or for none.
UNSCOPED = (
    *("GET ", "GET schema/", "POST auth/login/"),
    *("POST auth/password/reset/", "POST auth/password/reset/confirm/"),
    *("POST auth/register/", "POST auth/register/confirm/"),
    # The address has a secret.
    *("GET feeds/{id}/{secret}/{file}", "GET feeds/{id}/{secret}/delta/"),
    # Needs the scopes of its events, too: tests/config/api/webhooks/test_webhooks.py.
    "POST webhooks/",
)

CALLERS = ("anonymous", "owner", "other", "editor", "partner", "support", "root", "revoked")

# Who may nothing, what is their own, and everything: the others' rights lie between.
EXTREMES = ("anonymous", "owner", "root")

# Statuses, in the order of CALLERS.
ROWS: dict[str, str] = {
    "DELETE attributes/{name}/": "401 403 403 204 403 403 204 401",
    "DELETE auth/sessions/{id}/": "401 204 404 404 404 404 404 401",
    "DELETE auth/tokens/": "401 204 204 204 204 204 204 401",
    "DELETE auth/tokens/{id}/": "401 204 404 404 404 404 404 401",
    "DELETE brands/{slug}/": "401 403 403 409 403 403 409 401",
    "DELETE categories/{slug}/": "401 403 403 409 403 403 409 401",
    "DELETE changes/undo/{id}/": "401 403 403 204 403 403 404 401",
    "DELETE exports/{id}/": "401 403 403 403 204 403 404 401",
    "DELETE feeds/{id}/": "401 403 403 403 204 403 404 401",
    "DELETE imports/{id}/": "401 403 403 204 403 403 404 401",
    "DELETE imports/recipes/{id}/": "401 403 403 204 403 403 404 401",
    "DELETE me/addresses/{id}/": "401 204 404 404 404 404 404 401",
    "DELETE products/{id}/": "401 403 403 204 403 403 204 401",
    "DELETE products/{product}/images/{id}/": "401 403 403 204 403 403 204 401",
    "DELETE variants/{sku}/": "401 403 403 409 403 403 409 401",
    "DELETE scheduled_prices/{id}/": "401 403 403 204 403 403 204 401",
    "DELETE webhooks/{id}/": "401 403 403 403 204 403 404 401",
    "GET ": "200 200 200 200 200 200 200 401",
    "GET attributes/": "200 200 200 200 200 200 200 401",
    "DELETE locations/{code}/": "401 403 403 204 403 403 204 401",
    "GET locations/": "200 200 200 200 200 200 200 401",
    "GET locations/{code}/": "200 200 200 200 200 200 200 401",
    "PATCH locations/{code}/": "401 403 403 200 403 403 200 401",
    "POST locations/": "401 403 403 201 403 403 201 401",
    "GET attributes/{name}/": "200 200 200 200 200 200 200 401",
    "GET auth/events/": "401 200 200 200 200 200 200 401",
    "GET auth/events/{id}/": "401 200 404 404 404 404 404 401",
    "GET auth/sessions/": "401 200 200 200 200 200 200 401",
    "GET auth/sessions/{id}/": "401 200 404 404 404 404 404 401",
    "GET auth/tokens/": "401 200 200 200 200 200 200 401",
    "GET auth/tokens/{id}/": "401 200 404 404 404 404 404 401",
    "GET brands/": "200 200 200 200 200 200 200 401",
    "GET brands/{slug}/": "200 200 200 200 200 200 200 401",
    "GET categories/": "200 200 200 200 200 200 200 401",
    "GET categories/{slug}/": "200 200 200 200 200 200 200 401",
    "GET categories/{slug}/tree/": "200 200 200 200 200 200 200 401",
    "GET changes/": "401 403 403 403 200 403 200 401",
    "GET changes/stream/": "401 403 403 403 200 403 200 401",
    "GET changes/undo/": "401 403 403 200 403 403 200 401",
    "GET changes/undo/{id}/": "401 403 403 200 403 403 404 401",
    "GET exports/catalogue.ndjson": "401 403 403 403 200 403 200 401",
    "GET exports/changes.csv": "401 403 403 403 200 403 200 401",
    "GET exports/changes.ndjson": "401 403 403 403 200 403 200 401",
    "GET exports/orders.csv": "401 403 403 403 403 200 200 401",
    "GET exports/orders.ndjson": "401 403 403 403 403 200 200 401",
    "GET exports/products.csv": "401 403 403 403 200 403 200 401",
    "GET exports/products.google": "401 403 403 403 200 403 200 401",
    "GET exports/products.google_tsv": "401 403 403 403 200 403 200 401",
    "GET exports/products.agentic": "401 403 403 403 200 403 200 401",
    "GET exports/products.ndjson": "401 403 403 403 200 403 200 401",
    "GET exports/stock.csv": "401 403 403 403 200 403 200 401",
    "GET exports/stock.ndjson": "401 403 403 403 200 403 200 401",
    "GET exports/variants.csv": "401 403 403 403 200 403 200 401",
    "GET exports/variants.ndjson": "401 403 403 403 200 403 200 401",
    "GET exports/": "401 403 403 403 200 403 200 401",
    "GET exports/{id}/": "401 403 403 403 200 403 404 401",
    "GET exports/{id}/file/": "401 403 403 403 200 403 404 401",
    "GET exports/{id}/manifest/": "401 403 403 403 200 403 404 401",
    "GET feeds/": "401 403 403 403 200 403 200 401",
    "GET feeds/{id}/": "401 403 403 403 200 403 404 401",
    "GET feeds/{id}/{secret}/delta/": "200 200 200 200 200 200 200 200",
    "GET feeds/{id}/{secret}/{file}": "200 200 200 200 200 200 200 200",
    "GET imports/": "401 403 403 200 403 403 200 401",
    "GET imports/{id}/": "401 403 403 200 403 403 404 401",
    "GET imports/{id}/errors/": "401 403 403 200 403 403 404 401",
    "GET imports/recipes/": "401 403 403 200 403 403 200 401",
    "GET imports/recipes/{id}/": "401 403 403 200 403 403 404 401",
    "GET imports/{id}/refused/": "401 403 403 200 403 403 404 401",
    "GET me/": "401 200 200 200 200 200 200 401",
    "GET me/addresses/": "401 200 200 200 200 200 200 401",
    "GET me/addresses/{id}/": "401 200 404 404 404 404 404 401",
    "GET me/orders/": "401 200 200 200 200 200 200 401",
    "GET orders/": "401 200 200 200 200 200 200 401",
    "GET orders/{number}/": "401 200 404 404 404 200 200 401",
    "GET products/": "200 200 200 200 200 200 200 401",
    "GET products/by-slug/{slug}/": "200 200 200 200 200 200 200 401",
    "GET scheduled_prices/": "401 403 403 200 403 403 200 401",
    "GET scheduled_prices/{id}/": "401 403 403 200 403 403 200 401",
    "POST scheduled_prices/": "401 403 403 201 403 403 201 401",
    "GET prices/history/": "400 400 400 400 400 400 400 401",
    "GET products/suggest/": "400 400 400 400 400 400 400 401",
    "GET products/facets/": "200 200 200 200 200 200 200 401",
    "GET products/{id}/": "200 200 200 200 200 200 200 401",
    "GET products/{product}/history/": "401 403 403 200 403 403 200 401",
    "GET products/{product}/images/": "200 200 200 200 200 200 200 401",
    "GET products/{product}/images/{id}/": "200 200 200 200 200 200 200 401",
    "GET products/{product}/variants/": "200 200 200 200 200 200 200 401",
    "GET schema/": "200 200 200 200 200 200 200 200",
    "GET users/": "401 403 403 403 403 200 200 401",
    "GET users/{id}/": "401 403 403 403 403 200 200 401",
    "GET users/{user}/orders/": "401 403 403 403 403 200 200 401",
    "GET variants/": "200 200 200 200 200 200 200 401",
    "GET variants/{sku}/": "200 200 200 200 200 200 200 401",
    "PATCH attributes/{name}/": "401 403 403 200 403 403 200 401",
    "PATCH brands/{slug}/": "401 403 403 200 403 403 200 401",
    "PATCH categories/{slug}/": "401 403 403 200 403 403 200 401",
    "GET webhooks/": "401 403 403 403 200 403 200 401",
    "GET webhooks/{id}/": "401 403 403 403 200 403 404 401",
    "GET webhooks/{id}/deliveries/": "401 403 403 403 200 403 404 401",
    "PATCH imports/recipes/{id}/": "401 403 403 200 403 403 404 401",
    "PATCH feeds/{id}/": "401 403 403 403 200 403 404 401",
    "PATCH me/": "401 200 200 200 200 200 200 401",
    "PATCH me/addresses/{id}/": "401 200 404 404 404 404 404 401",
    "PATCH orders/{number}/": "401 403 404 404 404 403 200 401",
    "PATCH prices/bulk/": "401 403 403 200 403 403 200 401",
    "PATCH products/{id}/": "401 403 403 200 403 403 200 401",
    "PATCH products/{product}/images/{id}/": "401 403 403 200 403 403 200 401",
    "PATCH stock/bulk/": "401 403 403 200 403 403 200 401",
    "PATCH variants/{sku}/": "401 403 403 200 403 403 200 401",
    "POST attributes/": "401 403 403 201 403 403 201 401",
    "PATCH webhooks/{id}/": "401 403 403 403 200 403 404 401",
    "POST auth/login/": "200 200 200 200 200 200 200 200",
    "POST auth/logout/": "401 204 204 204 204 204 204 401",
    "POST auth/password/": "401 204 204 204 204 204 204 401",
    "POST auth/password/reset/": "202 202 202 202 202 202 202 202",
    # Of a link that nobody made.
    "POST auth/password/reset/confirm/": "400 400 400 400 400 400 400 400",
    "POST auth/register/": "202 202 202 202 202 202 202 202",
    # Of a link that nobody made.
    "POST auth/register/confirm/": "400 400 400 400 400 400 400 400",
    "POST auth/tokens/": "401 201 201 201 201 201 201 401",
    "POST brands/": "401 403 403 201 403 403 201 401",
    "POST brands/{slug}/merge/": "401 403 403 200 403 403 200 401",
    "POST categories/": "401 403 403 201 403 403 201 401",
    "POST categories/{slug}/merge/": "401 403 403 200 403 403 200 401",
    "POST changes/undo/": "401 403 403 201 403 403 201 401",
    "POST exports/": "401 403 403 403 201 403 201 401",
    "POST feeds/": "401 403 403 403 201 403 201 401",
    "POST imports/": "401 403 403 201 403 403 201 401",
    "POST imports/recipes/": "401 403 403 201 403 403 201 401",
    "POST imports/preview/": "401 403 403 200 403 403 200 401",
    "POST me/addresses/": "401 201 201 201 201 201 201 401",
    "POST orders/": "401 201 201 201 201 201 201 401",
    # The order is placed: nothing of it is shipped yet.
    "POST orders/{number}/returns/": "401 403 403 403 403 403 409 401",
    "POST orders/{number}/shipments/": "401 403 403 403 403 403 409 401",
    "POST products/": "401 403 403 201 403 403 201 401",
    "POST products/bulk/": "401 403 403 200 403 403 200 401",
    "POST products/{product}/images/": "401 403 403 201 403 403 201 401",
    "POST products/{product}/variants/": "401 403 403 201 403 403 201 401",
    "POST webhooks/": "401 403 403 403 201 403 201 401",
    "POST webhooks/{id}/replay/": "401 403 403 403 202 403 404 401",
    "POST webhooks/{id}/rotate/": "401 403 403 403 200 403 404 401",
    "POST webhooks/{id}/test/": "401 403 403 403 202 403 404 401",
    "PUT me/addresses/{id}/": "401 200 404 404 404 404 404 401",
    "PUT products/{id}/": "401 403 403 200 403 403 200 401",
}

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

HOME = {"name": "Mia", "line1": "1 High St", "city": "Bath", "country": "GB"}
LINES = {"lines": [{"sku": "TEA", "quantity": 1}]}
PRODUCT = {"sku": "TEA", "title": "Tea", "price": "2.00"}

BODIES: dict[str, Any] = {
    "POST auth/login/": {"email": "owner@example.com", "password": "secret"},
    "POST auth/password/": {"old": "secret", "new": "17 sheep in a boat"},
    "POST auth/password/reset/": {"email": "owner@example.com"},
    "POST auth/password/reset/confirm/": {"token": "1.x", "new": "17 sheep in a boat"},
    "POST auth/register/": {"email": "mia@example.com", "password": "17 sheep in a boat"},
    "POST auth/register/confirm/": {"token": "1.x", "password": "17 sheep in a boat"},
    "POST auth/tokens/": {"name": "one more"},
    "POST me/addresses/": HOME,
    "PUT me/addresses/{id}/": HOME,
    "PATCH me/addresses/{id}/": {"city": "Wells"},
    "PATCH me/": {"first_name": "Mia"},
    "POST orders/": LINES,
    "POST changes/undo/": {"request_id": "tea"},
    "POST exports/": {"resource": "products", "format": "csv"},
    "POST feeds/": {"resource": "products", "format": "csv"},
    "PATCH feeds/{id}/": {"every": 30},
    "POST imports/recipes/": {"name": "Coffee"},
    "PATCH imports/recipes/{id}/": {"shared": False},
    "POST imports/": b"sku,title,price\nTEA,Sencha,2\n",
    "POST imports/preview/": b"sku,title,price\nTEA,Sencha,2\n",
    "PATCH orders/{number}/": {"status": "paid"},
    "POST attributes/": {"name": "colour"},
    "POST locations/": {"code": "south"},
    "PATCH locations/{code}/": {"priority": 3},
    "POST brands/": {"name": "New"},
    "POST categories/": {"name": "New"},
    "POST brands/{slug}/merge/": {"into": "other"},
    "POST categories/{slug}/merge/": {"into": "other"},
    "POST products/": PRODUCT | {"sku": "NEW"},
    "PUT products/{id}/": PRODUCT,
    "PATCH products/{id}/": {"title": "Sencha"},
    "POST products/{product}/variants/": {"sku": "NEW", "price": "2.00"},
    "POST products/{product}/images/": {"url": "https://images.example/new.jpg"},
    "POST products/bulk/": {"mode": "update", "items": [{"sku": "TEA", "title": "Sencha"}]},
    "PATCH stock/bulk/": [{"sku": "TEA", "on_hand": 5}],
    "POST webhooks/": {"url": "https://shop.example/hook", "events": ["product.*"]},
    "PATCH webhooks/{id}/": {"description": "The shop's"},
    "POST webhooks/{id}/replay/": {"after": 0},
    "POST scheduled_prices/": {"sku": "TEA", "price": "3.00", "from": "2099-01-01T00:00:00Z"},
    "PATCH prices/bulk/": [{"sku": "TEA", "price": "3.00"}],
}


def list_operations() -> Iterator[str]:
    """`GET products/{id}/` and so on."""
    for path, methods in read_document()["paths"].items():
        yield from (f"{method.upper()} {path.removeprefix('/api/v1/')}" for method in methods)


OPERATIONS = sorted(list_operations())
PATHS = sorted({operation.partition(" ")[2] for operation in OPERATIONS})


@dataclass(frozen=True)
class Shop:
    """Callers by name, and what the variables of a path stand for."""

    callers: dict[str, APIClient]
    keys: dict[str, dict[str, Any]]

    def ask(self, caller: str, operation: str) -> int:
        """The status; whatever was written is undone."""
        return int(self.read(caller, operation).status_code)

    def read(self, caller: str, operation: str) -> Any:
        method, _, path = operation.partition(" ")
        place = self.keys.get(path) or self.keys.get(path.partition("{")[0], {})
        with transaction.atomic():
            body = BODIES.get(operation)
            kind = {"content_type": "text/csv"} if isinstance(body, bytes) else {}
            answer = getattr(self.callers[caller], method.lower())(f"/api/v1/{path.format(**place)}", body, **kind)
            if answer.streaming:
                b"".join(answer)
            transaction.set_rollback(True)
        if answer.status_code == 403 and method != "HEAD":
            assert re.search(r"It needs (\w+\.\w+|the scope [\w:]+)", answer.json()["detail"]), (
                "a refusal names the right"
            )
        return answer


def bear(user: User, revoked: bool = False, **limits: Any) -> APIClient:
    """A client with a token of this user."""
    token, secret = issue_token(user, "test", timezone.now() + timedelta(days=1), **limits)
    if revoked:
        token.delete()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    return client


def make_export(owner: User) -> ExportJob:
    """A job that is ready; each test writes its file."""
    return ExportJob.objects.create(
        owner=owner, resource="products", format="csv", status="ready", file="1/products-1.csv", bytes=4, sha256="0",
    )  # fmt: skip


def rename(product: Product) -> None:
    """A change of the request `tea`."""
    name = REQUEST_ID.set("tea")
    with sign_writes():
        Product.objects.filter(pk=product.pk).update(status="draft")
        Product.objects.filter(pk=product.pk).update(status="active")
    REQUEST_ID.reset(name)


def make_feed(owner: User) -> dict[str, Any]:
    job = make_export(owner)
    ExportJob.objects.filter(pk=job.pk).update(finished_at=timezone.now())
    feed = Feed.objects.create(owner=owner, resource="products", format="csv", job=job)
    return {"id": feed.pk, "secret": feed.secret, "file": "products.csv"}


def make_session(owner: User) -> int:
    APIClient().force_login(owner)
    return SessionOwner.objects.get(user=owner).pk


@pytest.fixture(scope="module")
def filled(kept: None) -> Shop:
    tea = make_product(
        sku="TEA", title="Tea", stock=9, brand=make_brand("Acme"), category=make_category("Food"),
    )  # fmt: skip
    Attribute.objects.create(name="volts")
    make_brand("Other")
    make_category("Other")
    rename(tea)
    owner = make_user(email="owner@example.com")
    order = place_order(owner, LINES["lines"])
    address = Address.objects.create(user=owner, **HOME)
    token, _ = issue_token(owner, "owner's", timezone.now() + timedelta(days=1))
    people = {
        "owner": owner,
        "other": make_user(),
        "editor": make_user("Catalogue editor"),
        "partner": make_user("Export partner"),
        "support": make_user("Support"),
        "root": User.objects.create_superuser("root@example.com", "secret"),
    }
    callers = {name: bear(user) for name, user in people.items()}
    keys: dict[str, dict[str, Any]] = {
        "products/": {"id": tea.pk, "product": tea.pk},
        "products/{product}/images/{id}/": {"id": tea.images.get().pk, "product": tea.pk},
        "products/by-slug/": {"slug": tea.slug},
        "variants/": {"sku": tea.sku},
        "brands/": {"slug": "acme"},
        "categories/": {"slug": "food"},
        "attributes/": {"name": "volts"},
        "locations/": {"code": Location.objects.create(code="north").code},
        "scheduled_prices/": {"id": make_scheduled(tea)},
        "auth/tokens/": {"id": token.mark},
        "auth/events/": {"id": Event.objects.filter(user=owner).first().pk},
        "auth/sessions/": {"id": make_session(owner)},
        "me/addresses/": {"id": address.pk},
        "users/": {"id": owner.pk, "user": owner.pk},
        "orders/": {"number": order.number},
        "imports/": {"id": ImportJob.objects.create(owner=people["editor"], name="tea.csv").pk},
        "imports/recipes/": {"id": ImportRecipe.objects.create(owner=people["editor"], name="Tea").pk},
        "feeds/": make_feed(people["partner"]),
        "webhooks/": {"id": Webhook.objects.create(owner=people["partner"], position=0).pk},
        "changes/undo/": {"id": UndoJob.objects.create(owner=people["editor"], request_id="tea").pk},
        "exports/": {"id": make_export(people["partner"]).pk},
    }
    root = people["root"]
    callers |= {"anonymous": APIClient(), "revoked": bear(root, revoked=True)}
    callers |= {f"only {scope}": bear(root, scopes=[scope]) for scope in SCOPES}
    callers |= {f"all but {scope}": bear(root, scopes=[name for name in SCOPES if name != scope]) for scope in SCOPES}
    return Shop(callers, keys)


def make_scheduled(product: Product) -> int:
    moment = timezone.now() + timedelta(days=1)
    return ScheduledPrice.objects.create(variant=product.variants.get(), price=3, starts_at=moment, due_at=moment).pk


@pytest.fixture
def shop(filled: Shop, db: None, files: Path, settings: Any) -> Shop:
    settings.REGISTRATION = True
    with write_file("1/products-1.csv") as file:
        file.write(b"id\r\n")
    return filled


def find_scope(operation: str) -> str:
    method, _, path = operation.partition(" ")
    read, write = next(names for start, *names in SCOPES_OF if path.startswith(start))
    return read if method == "GET" else write


def read_row(operation: str) -> dict[str, int]:
    return dict(zip(CALLERS, map(int, ROWS[operation].split()), strict=True))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_caller_gets_what_the_table_says(operation: str, shop: Shop) -> None:
    assert operation in ROWS, f"{operation} has no row: say who may do it."
    found = {caller: shop.ask(caller, operation) for caller in CALLERS}
    assert found == read_row(operation)
    if operation not in UNSCOPED:
        scope = find_scope(operation)
        assert shop.ask(f"only {scope}", operation) == found["root"]
        assert shop.ask(f"all but {scope}", operation) == 403


def test_the_table_has_no_row_of_what_is_gone() -> None:
    assert set(ROWS) <= set(OPERATIONS)


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_a_path_has_not_got_is_refused(path: str, shop: Shop) -> None:
    known = {method for method in METHODS if f"{method} {path}" in OPERATIONS}
    missing = [method for method in METHODS if method not in known]
    # Who may do everything learns that there is no such method, and which there are: Allow is the view's own list.
    told = shop.read("root", f"{missing[0]} {path}")
    assert told.status_code == 405
    assert {*told["Allow"].split(", ")} == known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
    # A view has the same methods for everybody.
    assert {shop.ask(caller, f"{missing[-1]} {path}") for caller in EXTREMES} <= {401, 403, 405}


@pytest.mark.parametrize("path", PATHS)
def test_head_and_options_tell_no_more_than_get(path: str, shop: Shop) -> None:
    if f"GET {path}" in OPERATIONS:
        told = {caller: shop.ask(caller, f"HEAD {path}") for caller in EXTREMES}
        assert told.items() <= read_row(f"GET {path}").items()  # as GET itself, above
    for caller in EXTREMES:
        assert shop.ask(caller, f"OPTIONS {path}") in (200, 401, 403, 404, 405), caller
    is_open = any(
        ROWS[operation].startswith(("20", "400")) for operation in OPERATIONS if operation.endswith(f" {path}")
    )
    # The view of products/bulk/ is that of products, which strangers read.
    assert (shop.ask("anonymous", f"OPTIONS {path}") == 401) != (is_open or path == "products/bulk/")


def test_a_user_who_is_no_longer_active_is_nobody(shop: Shop) -> None:
    User.objects.update(is_active=False)
    for caller in CALLERS[1:]:
        assert shop.ask(caller, "GET me/") == shop.ask(caller, "GET products/") == 401
