"""Below a path of a proxy: every address begins with it, also where requests with and without one mix in a process."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from django.urls import set_script_prefix

from config.api.freshness.leases import FRESHNESS
from config.api.gates.cache_gate import CacheGate
from config.api.gates.plan_gate import PlanGate
from config.serving.sub_path import SubPath
from tests.config.test_env import read_settings
from tests.factories import make_product
from tests.gates import Ask, Django, make_token, send

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTS = "/api/v1/products/"
# In this order and again: what is kept of the first request's prefix would be in the others.
PREFIXES = ("/shop", "", "/eu/de")


@pytest.fixture(autouse=True)
def behind_a_proxy(settings: Any) -> Iterator[None]:
    """The last request's prefix stays with its thread, where later tests would reverse addresses below it."""
    settings.TRUSTED_PROXIES = 1
    yield
    set_script_prefix("/")


@pytest.fixture
def ask(django: Django) -> Ask:
    application = SubPath(CacheGate(PlanGate(django)))
    FRESHNESS.lend = nullcontext
    return partial(send, application)


def below(prefix: str) -> dict[str, str]:
    return {"HTTP_X_FORWARDED_PREFIX": prefix} if prefix else {}


def list_origins(text: str) -> set[str]:
    """What stands in front of the API's path in each address of an answer."""
    return set(re.findall(r"(http://testserver[^\"<>\s]*?)/api/v1/", text))


def list_paths(page: str) -> set[str]:
    """The paths of this server that a page links to, loads or sends forms to."""
    return set(re.findall(r"(?:href|src|action|content)=\"(/[^\"]*)\"", page))


@pytest.mark.once
@pytest.mark.parametrize(
    ("proxies", "told", "prefix"),
    [
        (1, "/shop", "/shop"),
        (1, "/shop/", "/shop"),
        (1, "/", ""),
        (1, "", ""),
        (1, "/invented, /shop", "/shop"),
        (2, "/invented, /a, /b.c", "/a/b.c"),
        (1, "shop", None),
        (1, "//evil.example", None),
        (1, "/a/../b", None),
        (1, "/.", None),
        (1, '/"><script>', None),
        (1, "/a" * 9, None),
    ],
)
def test_a_prefix_is_what_trusted_proxies_took_off(proxies: int, told: str, prefix: str | None, settings: Any) -> None:
    settings.TRUSTED_PROXIES = proxies
    seen: list[str] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["SCRIPT_NAME"])
        start_response("200 OK", [])
        return []

    status, _, body = send(SubPath(application), "/", HTTP_X_FORWARDED_PREFIX=told)
    assert (status, seen) == ((400, []) if prefix is None else (200, [prefix]))
    assert prefix is not None or b"X-Forwarded-Prefix: It must be a path" in body


@pytest.mark.once
def test_a_base_path_holds_for_each_request_whether_or_not_the_proxy_takes_it_off(settings: Any) -> None:
    settings.BASE_PATH = "/shop"
    seen = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append((environ["SCRIPT_NAME"], environ["PATH_INFO"]))
        start_response("200 OK", [])
        return []

    for path in ("/shop/api/v1/", "/api/v1/", "/shop", "/shop/", "/shopping/"):
        send(SubPath(application), path, HTTP_X_FORWARDED_PREFIX="/other")
    assert {name for name, _ in seen} == {"/shop"}
    assert [path for _, path in seen] == ["/api/v1/", "/api/v1/", "/", "/", "/shopping/"]


@pytest.mark.once
def test_settings_say_who_may_name_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    read = partial(read_settings, monkeypatch)
    assert not read()["HAS_SUB_PATHS"]
    assert read(TRUSTED_PROXIES="1")["HAS_SUB_PATHS"]
    assert not read(TRUSTED_PROXIES="1", PROXY_HEADER="Forwarded")["HAS_SUB_PATHS"]
    base = read(BASE_PATH="/shop/", PUBLIC_URL="https://a.example")
    assert (base["HAS_SUB_PATHS"], base["PUBLIC_URL"]) == (True, "https://a.example/shop")
    assert (base["SESSION_COOKIE_PATH"], base["CSRF_COOKIE_PATH"]) == ("/shop", "/shop")


def test_links_cursors_and_kept_answers_are_those_of_the_prefix(ask: Ask, django: Django) -> None:
    for number in range(3):
        make_product(sku=f"A{number}", variants=2)
    first = f"{PRODUCTS}?page_size=1&expand=variants,images"
    states = {prefix: [] for prefix in PREFIXES}
    pages = {}
    for prefix in PREFIXES * 3:
        _, headers, body = ask(first, **below(prefix))
        assert list_origins(f"{body.decode()} {headers['Link']}") == {f"http://testserver{prefix}"}
        states[prefix].append(headers["X-Cache"])
        pages[prefix] = json.loads(body)
    assert states == {prefix: ["miss", "miss", "hit"] for prefix in PREFIXES}
    # A cursor is the list's, whoever shows it; the second page of each is answered by the plan of the first.
    for prefix, other in zip(PREFIXES, PREFIXES[1:] + PREFIXES[:1], strict=True):
        _, _, body = ask(f"{first}&cursor={pages[other]['next_cursor']}", **below(prefix))
        assert [row["sku"] for row in json.loads(body)["results"]] == ["A1"]
        assert list_origins(body.decode()) == {f"http://testserver{prefix}"}
    key = pages[""]["results"][0]["id"]
    for prefix in PREFIXES * 2:
        for path in (f"{PRODUCTS}{key}/", f"{PRODUCTS}?page=1&page_size=1", "/api/v1/"):
            assert list_origins(ask(path, **below(prefix))[2].decode()) == {f"http://testserver{prefix}"}


@pytest.mark.slow
def test_pages_static_files_and_redirects_are_those_of_the_prefix(ask: Ask) -> None:
    make_product(sku="A")
    for prefix in PREFIXES * 2:
        named = below(prefix) | {"HTTP_ACCEPT": "text/html"}
        for page in ("/", "/admin/login/", "/api/v1/", PRODUCTS, "/api/v1/docs/", "/api/v1/redoc/", "/nowhere/"):
            text = ask(page, **named)[2].decode()
            assert {path for path in list_paths(text) if not path.startswith(f"{prefix}/")} == set(), page
            assert list_origins(text) <= {f"http://testserver{prefix}"}
        [icon] = {path for path in list_paths(ask("/", **named)[2].decode()) if path.endswith("icon.svg")}
        assert ask(icon.removeprefix(prefix), **named)[0] == 200
        status, headers, _ = ask("/admin/", **named)
        assert (status, headers["Location"]) == (302, f"{prefix}/admin/login/?next={prefix}/admin/")
        document = json.loads(ask("/api/v1/schema/", **below(prefix))[2])
        assert document["servers"] == [{"url": f"http://testserver{prefix}"}]


@pytest.mark.slow
def test_writes_and_exports_name_addresses_of_the_prefix(ask: Ask, settings: Any) -> None:
    token = make_token("editor@example.com", "add_product", "view_product", "export_product")
    for number, prefix in enumerate(PREFIXES * 2):
        product = {"sku": f"B{number}", "title": "Lamp", "variants": [{"sku": f"B{number}", "price": "9.00"}]}
        written = {"CONTENT_TYPE": "application/json", **token, **below(prefix)}
        status, headers, body = post(ask, PRODUCTS, product, **written)
        assert (status, headers["Location"]) == (201, json.loads(body)["url"])
        assert headers["Location"].startswith(f"http://testserver{prefix}/api/v1/products/")
        for path in ("/api/v1/exports/products.csv", "/api/v1/exports/products.ndjson?trailer=0"):
            assert list_origins(ask(path, **token, **below(prefix))[2].decode()) == {f"http://testserver{prefix}"}


def post(ask: Ask, path: str, body: Any, **headers: str) -> Any:
    text = json.dumps(body).encode()
    return ask(path, "POST", CONTENT_LENGTH=str(len(text)), **headers, **{"wsgi.input": BytesIO(text)})
