"""One request, asked of the cache, of the plan gate and of Django alone: one answer, whatever was asked before it."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog.models import Brand
from config.api.freshness.leases import FRESHNESS
from config.api.gates.cache_gate import AT_THE_GATE, CACHE, CacheGate
from config.api.gates.plan_gate import PlanGate
from config.api.gates.request import read_gate_request
from config.api.reads.plans import LONGEST_QUERY, PLANS, parse_query, read_query
from tests.examples import share
from tests.factories import make_category, make_product
from tests.gates import Ask, Django, send

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTS = "/api/v1/products/"
PAST_THE_CACHE = {AT_THE_GATE: True}


def wire(text: str) -> str:
    """As WSGI has UTF-8 that came unquoted."""
    return text.encode().decode("latin-1")


PATHS = st.sampled_from(
    [
        PRODUCTS, PRODUCTS[:-1], f"{PRODUCTS}ROW/", f"{PRODUCTS}ROW", f"{PRODUCTS}999999/", "/api/v1/variants/SKU/",
        *(f"/api/v1/brands/{slug}/" for slug in (wire("é"), wire("Ã©"), "\xff", "%FF", "nobody")), "/api/v1/brands/",
        "/api/v1/categories/food/tree/", "//api/v1/products/", "/api/v1/products//",
    ]
)  # fmt: skip
PARAMETERS = st.sampled_from(
    [
        ("page_size", "1"), ("page_size", "2"), ("page", "1"), ("cursor", "CURSOR"), ("cursor", ""), ("cursor", "x"),
        ("brand", "é"), ("brand", ""), ("brand", "Ã©"), ("fields", "id,title"), ("search", "tea"), ("search", "a b"),
        ("ordering", "price"), ("prise", "1"), ("explain", "1"), ("search", "cursor"), ("", ""), ("count", "exact"),
    ]
)  # fmt: skip
SPELLERS = st.sampled_from([quote, wire, lambda text: "".join(f"%{byte:02x}" for byte in text.encode())])
QUERIES = st.lists(
    st.builds(lambda pair, name, value: f"{name(pair[0])}={value(pair[1])}", PARAMETERS, SPELLERS, SPELLERS), max_size=3
).flatmap(lambda parts: st.sampled_from(["&", "&&", "&="]).map(lambda between: between.join(parts)))
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_HOST": st.sampled_from(["testserver:80", "TESTSERVER", "elsewhere.example", "", None]),
        "HTTP_ACCEPT": st.sampled_from(["", "*/*", "application/json", "application/json, */*;q=0.5", "text/csv"]),
        "HTTP_COOKIE": st.sampled_from(["", "a=b", "sessionid=x"]),
        "HTTP_IF_MATCH": st.sampled_from(["", "*", '"x"']),
        "HTTP_IF_NONE_MATCH": st.sampled_from(["", "*", '"x"', "nonsense"]),
        "HTTP_X_MIN_VERSION": st.sampled_from(["", "0", "newest"]),
        "HTTP_AUTHORIZATION": st.sampled_from(["", "Token nonsense"]),
        "HTTP_X_FORWARDED_PROTO": st.just("https"),
        "SERVER_NAME": st.just("elsewhere.example"),
        "SERVER_PORT": st.just("8000"),
        "HTTP_TRANSFER_ENCODING": st.just("chunked"),
        "CONTENT_LENGTH": st.sampled_from(["", "0"]),
    },
)
METHODS = st.sampled_from(["GET", "GET", "GET", "HEAD"])
REQUESTS = st.lists(st.tuples(METHODS, PATHS, QUERIES, HEADERS), min_size=1, max_size=3)

MANY = settings(max_examples=share(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# What the headers of one answer alone differ by.
MOMENTS = ("Server-Timing", "X-Cache")


@pytest.fixture
def words(django: Django) -> dict[str, str]:
    """What the requests' placeholders stand for."""
    make_category("Food")
    brand = Brand.objects.create(name="É", slug="é")
    Brand.objects.create(name="Twice", slug="Ã©")
    rows = [make_product(title=f"Tea {number} cursor", brand=brand) for number in range(3)]
    body = send(django, f"{PRODUCTS}?page_size=1", **PAST_THE_CACHE)[2].decode()
    cursor = body.partition('"next_cursor":"')[2].partition('"')[0]
    return {"ROW": str(rows[0].pk), "SKU": rows[0].variants.get().sku, "CURSOR": cursor}


@pytest.fixture
def doors(django: Django) -> dict[str, Ask]:
    gates = CacheGate(PlanGate(django))
    FRESHNESS.lend = nullcontext  # the test's own connection
    return {
        "Django": partial(send, django, **PAST_THE_CACHE),
        "plan gate": partial(send, PlanGate(django), **PAST_THE_CACHE),
        "cache": partial(send, gates),
        "the cache's twin": partial(send, django),
    }


def fill(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        for spelled in (name, "".join(f"%{byte:02x}" for byte in name.encode())):
            text = text.replace(spelled, value)
    return text


def show(ask: Ask, request: tuple[str, str, str, dict[str, Any]]) -> tuple[Any, ...]:
    """An answer without what differs between any two."""
    method, path, query, headers = request
    status, told, body = ask(f"{path}?{query}", method, HTTP_X_REQUEST_ID="abc-1", **headers)
    if status == 304:
        return status, told["ETag"], told["Vary"], told["Cache-Control"]
    kept = {name: value for name, value in told.items() if name not in MOMENTS}
    return status, kept, body if method == "GET" else b""


@pytest.mark.slow
@MANY
@given(requests=REQUESTS)
# A plan of the list without a cursor answered the one with it, which is refused.
@example(requests=[("GET", PRODUCTS, "search=tea", {}), ("GET", PRODUCTS, "search=tea&cursor=x", {})])
@example(requests=[("GET", PRODUCTS, "page=1", {}), ("GET", PRODUCTS, "page=1&cursor=CURSOR", {})])
@example(requests=[("GET", PRODUCTS, "search=tea", {}), ("GET", PRODUCTS, "search=tea&cursor=", {})])
@example(requests=[("GET", PRODUCTS, "", {}), ("GET", PRODUCTS, "", {"HTTP_HOST": None, "SERVER_NAME": "x"})])
@example(requests=[("GET", "/api/v1/brands/", "page_size=1", {"HTTP_HOST": host}) for host in ("testserver:80", None)])
@example(requests=[("GET", PRODUCTS, "%65xplain=1", {})])
def test_every_door_gives_the_same_answer_to_the_same_request(
    requests: list[tuple[str, str, str, dict[str, Any]]], words: dict[str, str], doors: dict[str, Ask]
) -> None:
    requests = [(method, fill(path, words), fill(query, words), headers) for method, path, query, headers in requests]
    expected = []
    for request in requests:
        PLANS.clear()
        expected.append(show(doors["Django"], request))
    CACHE.clear()
    PLANS.clear()
    for name, ask in doors.items():
        for _ in range(3):
            assert [show(ask, request) for request in requests] == expected, name


# -- what is read ------------------------------------------------------------------------------------------------


def ask_gate(query: str = "", path: str = PRODUCTS, **environ: Any) -> Any:
    return read_gate_request(
        {
            "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": "testserver",
            "wsgi.url_scheme": "http", **environ,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    "query",
    ["page_size=5&brand=acme", "br%61nd=acme&page_size=5", "page%5Fsize=5&&brand=ac%6De&", "brand=acme&page_size=%35"],
)
def test_spellings_of_one_question_are_one(query: str) -> None:
    assert ask_gate(query) == ask_gate("brand=acme&page_size=5")


@pytest.mark.parametrize("query", ["cursor=x+y&page_size=5", "page_size=5&%63ursor=x%20y", "page_size=5&cursor=x%20y"])
def test_a_cursor_stands_apart_however_it_is_spelled(query: str) -> None:
    assert read_query(query) == ((("page_size", "5"),), "x y")


@pytest.mark.parametrize(
    "query", ["a=1&a=2", "a=1&%61=2", "cursor=x&cursor=y", "cursor=x&%63ursor=y", f"a={'x' * LONGEST_QUERY}"]
)
def test_invalid_or_too_long_requests_go_to_django(query: str) -> None:
    assert read_query(query) is None
    assert ask_gate(query) is None


def test_as_many_parameters_as_django_reads_and_no_more(settings: Any) -> None:
    parse_query.cache_clear()
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    assert read_query("a=1&b=2&c=3")
    assert read_query("a=1&b=2&c=3&d=4") is None
    parse_query.cache_clear()


def test_raw_bytes_in_a_query_are_read_as_django_reads_them() -> None:
    assert read_query(wire("brand=é")) == read_query("brand=%C3%A9") == ((("brand", "é"),), None)
    assert ask_gate(path=wire("/api/v1/brands/é/")).action.arguments == {"slug": "é"}


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "POST"}, {"HTTP_COOKIE": "a=b"}, {"HTTP_IF_MATCH": "*"},
        {"CONTENT_LENGTH": "3"}, {"HTTP_TRANSFER_ENCODING": "chunked"}, {"HTTP_ACCEPT": "text/html"},
    ],
)  # fmt: skip
def test_requests_that_are_not_plain_reads_go_to_django(environ: dict[str, str]) -> None:
    assert ask_gate(**environ) is None
    assert ask_gate(CONTENT_LENGTH="0", HTTP_COOKIE="", HTTP_IF_MATCH="") == ask_gate()
