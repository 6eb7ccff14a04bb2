"""The gate before Django: what it answers itself is, to the byte, what Django would have answered."""

import time
from typing import Any

import pytest
from django.db import OperationalError
from psycopg.errors import LockNotAvailable, QueryCanceled
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.models import User
from catalog.models import Brand, Product
from catalog.serializers import BrandRead
from catalog.views.products import ProductViewSet
from config.api.gates.cache_gate import AT_THE_GATE
from config.api.gates.plan_gate import PlanGate
from config.api.reads.plans import PLANS
from config.api.viewsets import ReadViewSet
from config.logs import RequestLine
from config.urls import urlpatterns as real_patterns
from tests.examples import halve
from tests.factories import make_brand, make_product
from tests.gates import CALLERS, UNPACK, Answer, Django, send

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"


class Secrets(ReadViewSet):
    """Refuses strangers, and says carelessly that everybody sees the same rows."""

    queryset = Brand.objects.all()
    read_serializer = BrandRead

    @classmethod
    def find_audience(cls, caller: Any) -> str:
        return "all alike"


router = SimpleRouter()
router.register("secrets", Secrets, basename="secret")
urlpatterns = [*router.urls, *real_patterns]


def ask(application: Any, address: str, method: str = "GET", **headers: str) -> Answer:
    """As the cache's gate hands on what it passes by."""
    return send(application, address, method, **{AT_THE_GATE: True}, **headers)


@pytest.fixture(autouse=True)
def looks(lasting: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whether the gate looks at its connections' age: the test's own stays open."""
    looked: list[str] = []
    monkeypatch.setattr("config.api.gates.plan_gate.close_old_connections", lambda: looked.append("gate"))
    return looked


@pytest.fixture
def gate(django: Django) -> PlanGate:
    return PlanGate(django)


def drop_moments(answer: Answer) -> Answer:
    """Without what differs between any two requests."""
    status, headers, body = answer
    if headers.get("Content-Type", "").startswith("text/html"):  # a page's CSRF token is another each time
        return status, {"Content-Type": headers["Content-Type"]}, b""
    # Brands come out of a cache.
    return status, {name: value for name, value in headers.items() if name not in ("Server-Timing", "X-Cache")}, body


QUESTIONS = [
    URL,
    "/api/v1/products",
    f"{URL}?fields=id,title&page_size=2",
    f"{URL}?page=1&page_size=2&expand=brand,images",
    f"{URL}?brand=acme&ordering=price",
    f"{URL}?search=tea",
    f"{URL}?page_size=1&cursor=CURSOR",
    f"{URL}?cursor=CURSOR&page_size=1",
    f"{URL}?page_size=1&cursor=CURSOR&cursor=CURSOR",
    f"{URL}?page_size=1&%63ursor=CURSOR",
    f"{URL}?page_size=1&cursor=forged",
    f"{URL}?page_size=0",
    f"{URL}?prise=1",
    f"{URL}ROW/",
    f"{URL}ROW/?fields=id&expand=variants",
    f"{URL}999999999/",
    f"{URL}ROW/variants/",
    "/api/v1/variants/SKU/",
    "/api/v1/brands/",
    "/api/v1/",
    "/livez",
]
OTHERS: list[dict[str, str]] = [
    {"HTTP_ACCEPT": "*/*"},
    {"HTTP_ACCEPT": "application/json"},
    {"HTTP_ACCEPT": "application/json; indent=2"},
    {"HTTP_COOKIE": "sessionid=nonsense"},
    {"CONTENT_LENGTH": "0"},
]


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_gate_answers_as_django_does(question: str, gate: PlanGate, django: Django) -> None:
    callers = halve(CALLERS + OTHERS, question)
    brand = make_brand("Acme")
    rows = [make_product(brand=brand, title=f"Tea {number}", images=2) for number in range(3)]
    *_, body = ask(django, f"{URL}?page_size=1")
    cursor = body.decode().partition('"next_cursor":"')[2].partition('"')[0]
    question = question.replace("CURSOR", cursor).replace("ROW", str(rows[0].pk))
    question = question.replace("SKU", rows[0].variants.get().sku)
    for caller in [{"HTTP_X_REQUEST_ID": "abc-1"} | caller for caller in callers]:
        for method in ("GET", "HEAD"):
            expected = drop_moments(ask(django, question, method, **caller))
            for _ in range(2):  # the second by the plan of the first
                assert drop_moments(ask(gate, question, method, **caller)) == expected, (caller, method)


def test_a_repeated_request_reaches_django_once(gate: PlanGate, django: Django) -> None:
    product = make_product()
    for question in (f"{URL}?page_size=1", f"{URL}{product.pk}/"):
        asked = django.asked
        for _ in range(3):
            status, headers, body = ask(gate, question)
            assert (status, headers["X-Cache"], headers["Content-Length"]) == (200, "bypass", str(len(body)))
        assert django.asked == asked + 1


def test_a_long_answer_is_compressed(gate: PlanGate, django: Django) -> None:
    for _ in range(5):
        make_product()
    ask(gate, URL)
    asked = django.asked
    for coding in ("gzip", "br", "zstd"):
        _, headers, body = ask(gate, URL, HTTP_ACCEPT_ENCODING=coding)
        assert (headers["Content-Encoding"], headers["Content-Length"]) == (coding, str(len(body)))
        assert UNPACK[coding](body) == ask(gate, URL)[2]
    assert django.asked == asked


def test_a_row_that_nobody_asked_for_before_is_answered_by_the_plan_of_others(gate: PlanGate, django: Django) -> None:
    first, second = make_product(), make_product()
    ask(gate, f"{URL}{first.pk}/")
    asked = django.asked
    assert second.sku.encode() in ask(gate, f"{URL}{second.pk}/")[2]
    assert django.asked == asked


def test_every_answer_is_of_the_rows_as_they_are(gate: PlanGate) -> None:
    product = make_product()
    for _ in range(2):
        ask(gate, f"{URL}{product.pk}/")
    Product.objects.filter(pk=product.pk).update(title="Renamed")
    assert b"Renamed" in ask(gate, f"{URL}{product.pk}/")[2]
    Product.objects.filter(pk=product.pk).update(status="archived")
    assert ask(gate, f"{URL}{product.pk}/")[0] == 404
    assert ask(gate, URL)[2].startswith(b'{"results":[]')


@pytest.mark.parametrize(
    "headers", [{"HTTP_COOKIE": "sessionid=x"}, {"HTTP_AUTHORIZATION": "Token x"}, {"HTTP_IF_NONE_MATCH": '"x"'}]
)
def test_a_personal_request_goes_to_django(headers: dict[str, str], gate: PlanGate, django: Django) -> None:
    make_product()
    ask(gate, URL)
    asked = django.asked
    ask(gate, URL, **headers)
    assert django.asked == asked + 1


@pytest.mark.urls("tests.config.api.gates.test_plan_gate")
def test_what_django_refuses_a_stranger_the_gate_refuses_too(gate: PlanGate, admin_user: User) -> None:
    make_brand("Secret")
    assert ask(gate, "/secrets/")[0] == 401
    # Somebody who may makes the plan that a stranger's question has, too.
    request = APIRequestFactory().get("/secrets/")
    force_authenticate(request, admin_user)
    assert Secrets.as_view({"get": "list"})(request).status_code == 200
    assert len(PLANS) == 1
    for _ in range(2):
        assert ask(gate, "/secrets/")[0] == 401


@pytest.mark.parametrize("path", ["me/", "me/addresses/", "me/orders/", "orders/", "orders/X/", "users/", "users/1/"])
def test_the_gate_never_answers_personal_views(path: str, gate: PlanGate) -> None:
    # `me/` names no row in its path: looked for, its key was a KeyError in front of Django.
    for _ in range(2):
        assert ask(gate, f"/api/v1/{path}")[0] == 401


def test_django_answers_if_the_plan_fails(gate: PlanGate, django: Django, monkeypatch: pytest.MonkeyPatch) -> None:
    make_product()
    ask(gate, URL)

    def fail(*args: Any) -> None:
        raise OperationalError("the database is gone")

    asked = django.asked
    monkeypatch.setattr("config.api.reads.list_plans.ListPlan.fetch", fail)
    status, _, body = ask(gate, URL)
    assert (status, django.asked) == (503, asked + 1)
    assert b"problem" in body


@pytest.mark.parametrize("limit", [QueryCanceled, LockNotAvailable])
def test_a_read_past_its_time_limit_is_answered_and_not_repeated(
    limit: type[Exception],
    gate: PlanGate,
    django: Django,
    monkeypatch: pytest.MonkeyPatch,
    request_lines: list[RequestLine],
) -> None:
    addresses, tries = (URL, f"{URL}{make_product().pk}/"), list[object]()
    for address in addresses:
        ask(gate, address)

    def end(*args: Any) -> None:
        tries.append(args)
        time.sleep(0.02)  # the time that it took belongs to the answer's
        raise OperationalError("ended") from limit("ended")

    monkeypatch.setattr("config.api.database.statements.Statement.fetch_page", end)
    for number, address in enumerate(addresses, start=1):
        answer = drop_moments(ask(gate, address, HTTP_X_REQUEST_ID="abc-1"))
        assert answer[0] == {QueryCanceled: 504, LockNotAvailable: 503}[limit]
        assert request_lines[-1].seconds >= 0.02
        assert len(tries) == number
    assert answer == drop_moments(ask(django, address, HTTP_X_REQUEST_ID="abc-1"))


def test_a_connection_past_its_age_is_closed_after_the_answer(gate: PlanGate, looks: list[str]) -> None:
    make_product()
    ask(gate, URL)
    assert looks == []
    ask(gate, URL)
    assert looks == ["gate"]


def test_its_log_line_is_the_same_as_djangos(gate: PlanGate, request_lines: list[RequestLine]) -> None:
    make_product()
    for _ in range(2):
        ask(gate, f"{URL}?page_size=1")
    first, second = (line._replace(moment=0, request_id="", seconds=0) for line in request_lines)
    assert first == second
    assert ProductViewSet in {question.view for question in PLANS}


def test_a_path_is_read_as_django_reads_it(gate: PlanGate) -> None:
    """WSGI has the two bytes of `é` as the letters `Ã©`, which may be a slug as well."""
    for slug in ("é", "Ã©"):
        Brand.objects.create(name=slug, slug=slug)
    for _ in range(3):
        for slug in ("é", "Ã©"):
            path = f"/api/v1/brands/{slug}/".encode().decode("latin-1")
            assert f'"slug":"{slug}"'.encode() in ask(gate, path)[2]
