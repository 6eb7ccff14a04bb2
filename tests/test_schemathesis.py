"""The served document against the served API: schemathesis walks every operation with what is allowed and what isn't.

The same requests each time (SEED). `SCHEMATHESIS_EXAMPLES=200` looks further than a test run has time for, and
`SCHEMATHESIS_WHOLE=true`, as in `make test-faults`, adds each role and each limit of each parameter.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import pytest
import schemathesis
from django.db import connection, connections
from django.test import TransactionTestCase
from django.utils import timezone
from knox.models import get_token_model
from schemathesis.checks import CheckContext
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source

from accounts.models import User
from accounts.orders import place_order
from accounts.tokens import issue_token
from catalog.models import Attribute, Location
from config.api.rendering.renderers import PROBLEM_TYPE
from config.api.schema.components import list_codes
from config.api.schema.documents import publish
from config.wsgi import application
from tests.documents import read_document
from tests.factories import make_brand, make_category, make_product, make_user
from tests.template import read_template

# Without a transaction around a test: Django closes its connection between requests, as in a server.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
# `coverage` tries each limit of each parameter, some 200 requests an operation: 90 s of CPU.
# Roles differ from the two other callers by rights: test_rights.py has those.
WHOLE = bool(os.environ.get("SCHEMATHESIS_WHOLE"))
if connection.vendor == "sqlite" and not WHOLE:
    pytest.skip("make test walks on PostgreSQL, whose types refuse more; here it takes 20 s", allow_module_level=True)

URL = "/api/v1/schema/"
SEED = 10_000_000
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "5" if WHOLE else "2"))

# What no schema can say: `page` and `cursor` exclude each other, a slug must exist. And what is taken beside the
# document: a list's empty words, a number where its digits are a SKU.
UNSAYABLE = {"positive_data_acceptance": {"enabled": False}, "negative_data_rejection": {"enabled": False}}


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The application as a server calls it; schemathesis reads a stream and never closes it."""
    body: Any = application(environ, start_response)
    try:
        return list(body)
    finally:
        if close := getattr(body, "close", None):
            close()


CONFIG = SchemathesisConfig.from_dict({
    "seed": SEED,
    "checks": UNSAYABLE,
    "phases": {"coverage": {"enabled": WHOLE}},
    "generation": {"max-examples": EXAMPLES, "deterministic": True},
    # One database serves all requests of a test, as it would a client.
    "suppress-health-check": ["all"],
})  # fmt: skip


@cache
def load_document() -> tuple[Any, FeedbackSources]:
    """The document, and constants of our code to try. Only the process that runs these tests needs them."""
    document = schemathesis.openapi.from_wsgi(URL, answer, config=CONFIG)
    return document, FeedbackSources(constants_value_source=make_constants_value_source(document))


def list_labels() -> list[str]:
    """`GET /api/v1/products` and so on, as schemathesis names the operations."""
    paths = publish(read_document())["paths"]
    return [f"{method.upper()} {path}" for path, operations in paths.items() for method in operations]


def build_test(label: str, ask: Callable[[schemathesis.Case], None]) -> Callable[[], None]:
    """Calls `ask` with the cases of an operation.

    Not by DOCUMENT.parametrize: all its tests have one id for pytest, of which pytest-xdist runs one.
    """
    document, constants = load_document()
    operation = document.find_operation_by_label(label)
    built: Callable[[], None] = build_operation_test(
        config=document.config, operation=operation, test_func=ask, given_kwargs={}, feedback=constants
    )
    return built


# Bodies of bytes, whatever they are called.
for kind in ("application/gzip", "application/zstd", "application/x-ndjson"):
    schemathesis.serializer.alias(kind, "application/octet-stream")

# schemathesis asks for gzip by itself, and reads it over the network only.
PLAIN = {"Accept-Encoding": "identity"}
CODES = {(code.status, code.name) for code in list_codes()}


@schemathesis.check
def check_problem(ctx: CheckContext, response: Response, case: schemathesis.Case) -> None:
    """Whatever is no success is a problem document with a code that the document lists."""
    if response.status_code < 300 or response.status_code == 304:
        return
    assert response.headers["content-type"] == [PROBLEM_TYPE], response.headers
    problem = response.json()
    assert (response.status_code, problem["code"]) in CODES, problem


class Shop(NamedTuple):
    """What paths lead to, and the headers by which callers are known."""

    places: dict[str, Any]
    credentials: list[dict[str, str]]


ROLES = ("Catalogue editor", "Export partner", "Support") if WHOLE else ()


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any) -> Iterator[Shop]:
    """A shop that is filled once. After each test the database is as it was then."""
    with django_db_blocker.unblock():
        before = read_template("before")
        filled = Shop(fill_shop(), make_credentials())
        template = read_template("shop")
        connections.close_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: template.restore())
        yield filled
    with django_db_blocker.unblock():
        template.close()
        before.restore()
        before.close()
        connections.close_all()


def make_credentials() -> list[dict[str, str]]:
    """Of a stranger, of each role, and of somebody who may do everything."""
    users = [*map(make_user, ROLES), User.objects.create_superuser("root@example.com", "root")]
    tokens = [get_token_model().objects.create(user)[1] for user in users]
    return [{}, *({"Authorization": f"Token {token}"} for token in tokens)]


def fill_shop() -> dict[str, Any]:
    """A handful of products; the values of paths that lead to one of them, its brand and its category."""
    Attribute.objects.create(name="color", type="text")
    Location.objects.create(code="north")
    brand, category = make_brand("Food Tea"), make_category("Food", "Tea")
    for _ in range(5):
        product = make_product(
            brand=brand, category=category, images=2, variants=2, stock=99, attributes={"color": "green"}
        )
    make_product(status="draft")
    order = place_order(make_user(), [{"sku": product.sku, "quantity": 1}])
    keys = {"id": product.pk, "product": product.pk, "user": order.user_id, "number": order.number}
    token, _ = issue_token(order.user, "test", timezone.now() + timedelta(days=1))
    image = product.images.first()
    names = {"sku": product.sku, "slug": brand.slug, "name": "color", "mark": token.mark, "image": image.pk}
    names["code"] = "north"
    return keys | names | {"secret": "x" * 32, "file": "products.csv"}


# The ids in these paths aren't those of products.
OWN_IDS = {"/tokens/": "mark", "/images/": "image"}


def aim_at_rows(case: schemathesis.Case, shop: dict[str, Any]) -> None:
    """Every other request names rows that are there, and no made up cursor, so that it may succeed."""
    if mark_case(case) % 2:
        # The id of a token is no number.
        place = shop | {"id": shop[next((name for part, name in OWN_IDS.items() if part in case.path), "id")]}
        case.path_parameters = {name: place[name] for name in case.path_parameters}
        for name in {"cursor", "attr.NAME"} & set(case.query or ()):
            del case.query[name]
        if isinstance(case.body, list):
            case.body = [row | {"sku": shop["sku"]} if isinstance(row, dict) else row for row in case.body]
        if isinstance(case.body, dict) and "items" not in case.body:
            case.body |= {name: shop["slug"] for name in ("brand", "category") if name in case.body}
            is_new = case.method == "POST" and "sku" in case.body
            case.body |= {"sku": f"NEW-{mark_case(case)}"} if is_new else {}
            case.body |= {"variants": []} if is_new and "title" in case.body else {}
            case.body |= {"lines": [{"sku": shop["sku"], "quantity": 1}]} if "lines" in case.body else {}


def mark_case(case: schemathesis.Case) -> int:
    """A number that is the same each time."""
    return crc32(repr((case.method, case.path_parameters, case.query, case.body)).encode())


@pytest.mark.parametrize("label", list_labels())
def test_each_caller_gets_what_the_document_says(label: str, shop: Shop) -> None:
    def ask(case: schemathesis.Case) -> None:
        aim_at_rows(case, shop.places)
        for credentials in shop.credentials:
            case.call_and_validate(headers=PLAIN | credentials)

    build_test(label, ask)()
