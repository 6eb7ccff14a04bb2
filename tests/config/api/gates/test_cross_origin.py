"""Scripts of other sites: which may read, what they are told, and that no kept answer is made for one of them."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from config.api.freshness.leases import FRESHNESS
from config.api.gates import cross_origin
from config.api.gates.cache_gate import CACHE, CacheGate
from config.api.gates.cross_origin import CrossOrigin
from config.api.problems.errors import Overloaded
from config.api.schema.components import HEADERS
from config.serving.refusals import refuse
from tests.config.test_env import read_settings
from tests.factories import make_brand, make_product, make_user
from tests.gates import Ask, Django, make_token, send
from tests.launching import find_database_url, launch_server

pytestmark = pytest.mark.django_db(transaction=True)

SHOP, ADMIN, STRANGER = "https://shop.example", "https://admin.example", "https://shop.example.evil.example"
BRANDS = "/api/v1/brands/"
PREFLIGHT = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "if-match"}
# What design.md calls In, and what other programs of a page send.
SENT = (
    "authorization x-request-id if-none-match if-match idempotency-key x-min-version prefer last-event-id content-type"
)
TOLD = "x-data-version content-disposition preference-applied accept-ranges content-range age"
# A script may always read these.
ALWAYS_TOLD = {"cache-control", "content-type"}


@pytest.fixture(autouse=True)
def cors(settings: Any) -> None:
    settings.CORS, settings.CORS_ALLOWED_ORIGINS = True, [SHOP, ADMIN]


@pytest.fixture
def ask(django: Django) -> Ask:
    application = CacheGate(CrossOrigin(django))
    FRESHNESS.lend = nullcontext
    return partial(send, application)


def names(text: str) -> set[str]:
    return {name.strip().lower() for name in text.split(",")}


def ask_from(ask: Ask, origin: str | None, path: str = BRANDS, **headers: Any) -> tuple[str | None, int, str]:
    """The origin that may read the answer, its status, and what the cache says."""
    status, found, _ = ask(path, **({"HTTP_ORIGIN": origin} if origin else {}), **headers)
    assert "Origin" in found["Vary"]
    return found.get("access-control-allow-origin"), status, found["X-Cache"]


@pytest.mark.once
def test_a_preflight_is_answered_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = CrossOrigin(lambda *_: pytest.fail("it went on"))
    for path in (BRANDS, f"{BRANDS}?page_size=nonsense", "/api/v1/nowhere/"):
        status, headers, body = send(gate, path, "OPTIONS", HTTP_ORIGIN=SHOP, **PREFLIGHT)
        assert (status, body, headers["access-control-allow-origin"], headers["Vary"]) == (200, b"", SHOP, "Origin")
        assert set(SENT.split()) <= names(headers["access-control-allow-headers"])
        assert {"PATCH", "DELETE"} <= set(headers["access-control-allow-methods"].split(", "))
        assert int(headers["access-control-max-age"]) >= 7200
        assert "access-control-allow-credentials" not in headers
        # The headers are made once for an origin.
        monkeypatch.setattr(cross_origin, "make_headers", lambda *_: pytest.fail("made again"))
    monkeypatch.undo()
    for origin in (STRANGER, "null", "https://shop.example:8443", "http://shop.example", "x" * 5000):
        headers = send(gate, BRANDS, "OPTIONS", HTTP_ORIGIN=origin, **PREFLIGHT)[1]
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_kept_answer_is_right_for_each_origin(ask: Ask) -> None:
    make_brand("Acme")
    origins = (SHOP, ADMIN, None, STRANGER)
    told = [ask_from(ask, origin) for origin in (*origins, *origins)]
    seen = [SHOP, ADMIN, None, None]
    assert [origin for origin, _, _ in told] == [*seen, *seen]
    assert [state for _, _, state in told] == ["miss", "miss"] + ["hit"] * 6
    etag = ask(BRANDS)[1]["ETag"]
    known = [ask_from(ask, origin, HTTP_IF_NONE_MATCH=etag) for origin in origins]
    assert known == [(origin, 304, "hit") for origin in seen]
    assert not [entry for entry in CACHE.memory.entries.values() if b"access-control" in entry.pack().lower()]


def test_errors_streams_and_files_can_be_read_too(ask: Ask, settings: Any) -> None:
    make_product(sku="A")
    token = make_token("partner@example.com", "export_product")
    for path, headers, expected in (
        ("/api/v1/nowhere/", {}, 404),
        (f"{BRANDS}?nonsense=1", {}, 400),
        ("/api/v1/orders/", {}, 401),
        ("/api/v1/users/", token, 403),
        ("/api/v1/exports/products.csv", token, 200),
        ("/api/v1/schema/", {}, 200),
    ):
        assert ask_from(ask, SHOP, path, **headers)[:2] == (SHOP, expected)
    settings.RATE_LIMIT_ANON = "1/hour"
    assert [ask_from(ask, ADMIN, f"{BRANDS}?page={page}")[:2] for page in (1, 1)] == [(ADMIN, 200), (ADMIN, 429)]
    # What the server refuses by itself is stored nowhere, so it needs no Vary.
    overloaded = CrossOrigin(partial(refuse, Overloaded()))
    status, told, _ = send(overloaded, BRANDS, HTTP_ORIGIN=SHOP)
    assert (status, told["access-control-allow-origin"], told["Cache-Control"]) == (503, SHOP, "no-store")
    documented = {name.lower() for name in HEADERS} - ALWAYS_TOLD
    assert documented | set(TOLD.split()) <= names(told["access-control-expose-headers"])


def test_pages_for_people_are_read_by_no_other_site(ask: Ask) -> None:
    for path in ("/", "/admin/login/", "/static/tenfold/icon.svg"):
        headers = ask(path, HTTP_ORIGIN=SHOP)[1]
        assert not [name for name in headers if name.startswith("access-control")]
        assert "Origin" not in headers.get("Vary", "")


@pytest.mark.once
def test_a_pattern_matches_a_whole_origin(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    read = read_settings(monkeypatch, CORS_ALLOWED_ORIGIN_REGEXES=r"https://[a-z]{1,9}\.shop\.example")
    settings.CORS_ALLOWED_ORIGIN_REGEXES, settings.CORS_ALLOWED_ORIGINS = read["CORS_ALLOWED_ORIGIN_REGEXES"], []
    for origin, allowed in (
        ("https://eu.shop.example", True),
        ("https://eu.shop.example.evil.example", False),
        ("https://evil.example/https://eu.shop.example", False),
        ("https://eu.shop.example\n", False),
    ):
        assert bool(cross_origin.make_headers(origin, "GET")) is allowed


# -- a shop front in a browser --------------------------------------------------------------------------------------

# Runs on a page of another origin, without a line of ours on that page.
SHOP_FRONT = """
async ({api, email, password}) => {
  const json = async (path, options = {}) => {
    const answer = await fetch(api + path, options);
    return [answer.status, answer.status === 304 ? null : await answer.json(), answer.headers];
  };
  const type = {"Content-Type": "application/json"};
  const body = (value) => ({method: "POST", body: JSON.stringify(value), headers: {...type}});
  const lists = [];
  for (let n = 0; n < 3; n++) lists.push((await json("products/?expand=variants"))[2].get("X-Cache"));
  const [, list, headers] = await json("products/?expand=variants");
  const tags = {"If-None-Match": headers.get("ETag")};
  const known = await json("products/?expand=variants", {cache: "no-store", headers: tags});
  const [, login] = await json("auth/login/", body({email, password}));
  const order = body({lines: [{sku: list.results[0].variants[0].sku, quantity: 1}]});
  order.headers["Authorization"] = `Token ${login.token}`;
  order.headers["Idempotency-Key"] = "one order";
  const [placed, made, told] = await json("orders/", order);
  const [, , again] = await json("orders/", order);
  const [missing, problem] = await json("products/?prise=1");
  return {lists, known: known[0], placed, number: made.number, location: told.get("Location"),
          version: !!told.get("X-Data-Version"), replayed: again.get("Idempotency-Replayed"),
          missing, code: problem.code};
}
"""


class BlankPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>shop</title>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), BlankPage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.once
def test_a_shop_front_of_another_origin_lists_signs_in_and_orders(elsewhere: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    user = make_user(email="mia@example.com")
    # The tests' own hasher is one that no server takes.
    type(user).objects.update(password=PBKDF2PasswordHasher().encode("secret", "salt", iterations=1000))
    make_product(sku="A", stock=5)
    variables = {"DATABASE_URL": find_database_url(), "CORS_ALLOWED_ORIGINS": elsewhere}
    with launch_server(**variables) as (url, _), playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(elsewhere)
        given = {"api": f"{url}/api/v1/", "email": user.email, "password": "secret"}
        found = page.evaluate(SHOP_FRONT, given)
        other = browser.new_page()
        other.goto(elsewhere.replace("127.0.0.1", "localhost"))
        refused = other.evaluate("api => fetch(api).then(() => 'read', error => error.name)", given["api"])
        browser.close()
    number = found.pop("number")
    assert found == {
        "lists": ["miss", "miss", "hit"], "known": 304, "placed": 201, "version": True, "replayed": "true",
        "location": f"{url}/api/v1/orders/{number}/", "missing": 400, "code": "unknown_parameter",
    }  # fmt: skip
    assert refused == "TypeError"
