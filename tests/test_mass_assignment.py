"""No column beside the documented ones is written, shown, filtered or ordered by, whoever asks.

Made from the models and the document, which has every route (tests/config/api/schema/test_documents.py): every field of
every model and every `a__b` path is thrown at every operation, so a new model or route is covered by itself.
"""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import batched
from typing import Any, NamedTuple
from zlib import crc32

import pytest
from django.apps import apps
from django.db.models import Field, Model
from django.test import Client
from django.utils import timezone
from knox.models import get_token_model
from rest_framework.test import APIClient

from accounts.events import Event
from accounts.models import Order, SessionOwner, User
from catalog.models import Attribute, ImportRecipe, Location
from config.api.problems.errors import MOST_NAMED
from config.api.webhooks.models import Webhook
from exports.models import ExportJob, Feed
from tests.documents import read_document
from tests.factories import make_brand, make_category, make_product

# What is taken, shown and refused is decided before any SQL; each route's SQL is asked on both by schemathesis.
pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]

OURS = ("catalog", "accounts", "exports", "api")

# What no answer may hold: it stands in the columns that nobody gets to see.
SECRET = "ThisIsNobodysBusiness"

MARK = "0123456789abcdef"

# Decided by the server alone, whatever the model says of them.
SERVERS_OWN = {
    "is_staff", "is_superuser", "is_active", "groups", "user_permissions", "permissions", "last_login", "date_joined",
    "digest", "token_key", "version", "created_at", "updated_at", "path", "reserved", "total", "subtotal", "placed_at",
    "actor", "before", "numbered_at", "product_id", "brand_id", "category_id", "user", "user_id", "request_hash",
    "shipped", "returned", "return_reason",
}  # fmt: skip


def list_words() -> set[str]:
    """`price`, `brand_id`, `user__password`, `stock__reserved`: fields, columns, and paths over every relation."""
    words = set()
    for model in apps.get_models():
        for field in model._meta.get_fields():
            words |= {field.name, getattr(field, "attname", field.name)}
            below = field.related_model._meta.get_fields() if isinstance(field.related_model, type) else ()
            words |= {f"{field.name}__{inner.name}" for inner in below}
    return words


WORDS = sorted(list_words())

# An operation is asked for one word in so many, and a body for each that the server decides: the operations together
# for all. `make test-faults` asks each for all.
SHARE = int(os.environ.get("SHARE", "8"))


def list_operations(*methods: str) -> list[tuple[str, str]]:
    return [(path, method) for path, found in read_document()["paths"].items() for method in found if method in methods]


# -- the shop ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(kept: None) -> User:
    return User.objects.create_superuser("root@example.com", "root")


@pytest.fixture(scope="module")
def staff(root: User) -> APIClient:
    """A caller who may do everything."""
    client = APIClient()
    client.force_authenticate(root)
    return client


@pytest.fixture(scope="module")
def shop(root: User) -> dict[str, Any]:
    """Rows behind every address; the values of paths that lead to them."""
    Attribute.objects.create(name="color", type="text")
    Location.objects.create(code="north")
    brand, category = make_brand("Food Tea"), make_category("Food", "Tea")
    product = make_product(brand=brand, category=category)
    order = Order.objects.create(number="T-1", user=root)
    token, _ = get_token_model().objects.create(root)
    # Its beginning names the token in an address.
    type(token).objects.update(digest=f"{MARK}{SECRET}")
    User.objects.update(password=SECRET)
    values = {"product": product.pk, "sku": product.sku, "slug": brand.slug, "name": "color", "number": order.number}
    values |= {"code": "north"}
    job = ExportJob.objects.create(owner=root, resource="products", format="csv", finished_at=timezone.now())
    feed = Feed.objects.create(owner=root, resource="products", format="csv", job=job)
    values |= {"secret": feed.secret, "file": "products.csv"}
    Client().force_login(root)
    ids = {
        "auth/tokens": MARK,
        "auth/sessions": SessionOwner.objects.get(user=root).pk,
        "auth/events": Event.objects.create(kind="sign_in", user=root).pk,
        "users": root.pk,
        "products/{product}/images": product.images.get().pk,
        "imports/recipes": ImportRecipe.objects.create(owner=root, name="Tea").pk,
        "feeds": feed.pk,
        "webhooks": add_webhook(root).pk,
        "me": root.addresses.create(name="Root", line1="1 High St", city="York", postcode="YO1", country="GB").pk,
    }
    return values | {"id": product.pk, "user": root.pk, "ids": ids}


def add_webhook(owner: User) -> Webhook:
    secrets = {"secret": SECRET, "former_secret": SECRET}
    return Webhook.objects.create(
        owner=owner, position=0, url="https://8.8.8.8/", events=["product.created"], **secrets
    )


def fill_path(path: str, shop: dict[str, Any]) -> str:
    own = (key for place, key in shop["ids"].items() if path.startswith(f"/api/v1/{place}/"))
    path = path.replace("{id}", str(next(own, shop["id"])))
    for name, value in shop.items():
        path = path.replace(f"{{{name}}}", str(value))
    assert "{" not in path, f"{path}: give its variable a value in shop()"
    return path


type Rows = dict[type[Model], list[tuple[Any, ...]]]


def snap_rows() -> Rows:
    models = [model for model in apps.get_models() if model._meta.app_label in OURS]
    return {model: list(model._default_manager.order_by("pk").values_list()) for model in models}


@pytest.fixture(scope="module")
def rows(shop: dict[str, Any]) -> Rows:
    """All rows as each test finds them: what a test writes is undone."""
    return snap_rows()


def read_body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


# -- what is asked for -------------------------------------------------------------------------------------------


def list_allowed(path: str, method: str) -> dict[str, set[str]]:
    """The words that `fields`, `expand` and `ordering` take, and under "" the parameters themselves."""
    parameters = read_document()["paths"][path][method].get("parameters", [])
    asked = {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}
    lists = {
        name: set(resolve(schema.get("items", schema)).get("enum", ()))
        for name, schema in asked.items()
        if name in ("fields", "expand", "ordering")
    }
    return lists | {"": set(asked)}


def share_words(path: str, words: set[str]) -> list[str]:
    """One word in SHARE, others for another path."""
    return sorted(words)[crc32(path.encode()) % SHARE :: SHARE]


def spell(name: str, words: Iterable[str]) -> str:
    """The query string that asks for `words` by the list parameter `name`, or names them as parameters."""
    return f"{name}={','.join(words)}" if name else "&".join(f"{word}=1" for word in words)


@pytest.mark.parametrize(("path", "method"), list_operations("get"))
def test_what_is_taken_shows_nothing_else(path: str, method: str, shop: dict[str, Any], staff: APIClient) -> None:
    url = fill_path(path, shop)
    assert SECRET.encode() not in read_body(staff.get(url))
    for name, words in list_allowed(path, method).items():
        for word in words:
            assert SECRET.encode() not in read_body(staff.get(f"{url}?{spell(name, [word])}"))


@pytest.mark.parametrize(("path", "method"), list_operations("get"))
def test_nothing_is_filtered_or_ordered_by_another_word(
    path: str, method: str, shop: dict[str, Any], staff: APIClient
) -> None:
    url = fill_path(path, shop)
    for name, words in list_allowed(path, method).items():
        for answer in ask_for_all(staff.get, url, name, share_words(f"{path} {name}", set(WORDS) - words)):
            assert (answer.status_code, SECRET.encode() in read_body(answer)) == (400, False), answer.content


@pytest.mark.parametrize(("path", "method"), list_operations("post", "put", "patch", "delete"))
def test_a_write_takes_no_other_parameter(
    path: str, method: str, shop: dict[str, Any], staff: APIClient, rows: Rows
) -> None:
    url, allowed = fill_path(path, shop), list_allowed(path, method)[""]
    for answer in ask_for_all(getattr(staff, method), url, "", share_words(f"{path} {method}", set(WORDS) - allowed)):
        assert answer.status_code in (400, 404), answer.content
    assert snap_rows() == rows


def ask_for_all(ask: Any, url: str, name: str, words: Iterable[str]) -> Iterator[Any]:
    """The answers to as many words at once as one names; a word that it doesn't name is asked for by itself."""
    for asked in batched(sorted(words), 1 if name == "ordering" else MOST_NAMED, strict=False):
        answer = ask(f"{url}?{spell(name, asked)}")
        yield answer
        for word in set(asked) - list_refused(answer, name):
            yield ask(f"{url}?{spell(name, [word])}")


def list_refused(answer: Any, name: str) -> set[str]:
    """The words that a 400 names."""
    if answer.status_code != 400:
        return set()
    faults = answer.json()["errors"]
    if name:
        return {word for fault in faults for word in re.findall("'([^']+)'", fault["detail"])}
    return {fault["pointer"].removeprefix("?") for fault in faults if fault["code"] == "unknown_parameter"}


# -- what is sent ------------------------------------------------------------------------------------------------

type Place = tuple[str | int, ...]


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return read_document()["components"]["schemas"][name] if name else schema


def read_request_schema(path: str, method: str) -> dict[str, Any]:
    content = read_document()["paths"][path][method].get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema", {})


def list_objects(schema: dict[str, Any], place: Place = ()) -> Iterator[tuple[Place, set[str]]]:
    """Each object that a body may hold: where it stands, and which members it takes."""
    schema = resolve(schema)
    if "properties" in schema:
        yield place, set(schema["properties"])
        for name, below in schema["properties"].items():
            yield from list_objects(below, (*place, name))
    elif "items" in schema:
        yield from list_objects(schema["items"], (*place, 0))


def fill_schema(schema: dict[str, Any]) -> Any:
    """The least that a schema asks for."""
    schema = resolve(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {name: fill_schema(schema["properties"][name]) for name in schema.get("required", ())}
    return [fill_schema(schema["items"])] if "items" in schema else "1"


def put_words(body: Any, place: Place, words: dict[str, Any]) -> Any:
    """`body` with `words` added to the object at `place`."""
    if not place:
        return (body if isinstance(body, dict) else {}) | words
    head, *rest = place
    if head == 0:
        return [put_words(body[0] if isinstance(body, list) and body else {}, tuple(rest), words)]
    below = (body or {}).get(head)
    return (body or {}) | {head: put_words(below, tuple(rest), words)}


class Write(NamedTuple):
    """An object in the body of an operation, and the members that it takes."""

    path: str
    method: str
    place: Place
    members: set[str]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {'.'.join(map(str, self.place))}"


WRITES = [
    Write(path, method, place, members)
    for path, method in list_operations("post", "put", "patch")
    for place, members in list_objects(read_request_schema(path, method))
]


@pytest.mark.parametrize("write", WRITES, ids=str)
def test_no_other_member_is_taken(write: Write, shop: dict[str, Any], staff: APIClient, rows: Rows) -> None:
    path, method, place, members = write
    pointer = "".join(f"/{part}" for part in place)
    others = set(WORDS) - members
    foreign_words = sorted({*share_words(f"{path} {place}", others), *SERVERS_OWN & others})
    # An answer names twenty.
    for foreign in batched(foreign_words, MOST_NAMED, strict=False):
        body = put_words(fill_schema(read_request_schema(path, method)), place, dict.fromkeys(foreign, -17))
        answer = getattr(staff, method)(fill_path(path, shop), body)
        assert answer.status_code == 400, answer.content
        named = {fault["pointer"] for fault in answer.json()["errors"] if fault["code"] == "unknown_member"}
        assert named == {f"{pointer}/{word}" for word in foreign}
    assert snap_rows() == rows


@pytest.mark.parametrize("write", WRITES, ids=str)
def test_no_body_names_what_the_server_decides(write: Write) -> None:
    assert not write.members & SERVERS_OWN


def test_the_words_have_every_kind_of_column() -> None:
    assert {"password", "reserved", "user__password", "variants__sku", "stock__on_hand", "order__total"} <= set(WORDS)
    hidden = {f.name for f in User._meta.get_fields() if isinstance(f, Field)}
    assert hidden <= set(WORDS)
    assert len(WRITES) >= 10
