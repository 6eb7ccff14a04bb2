"""Whatever one caller has warmed, another gets what they'd get without a cache: every GET of the API, every caller."""

# ruff: noqa: F811 (fixtures of another file)

import re
from itertools import batched
from typing import Any

import pytest
from rest_framework.test import APIClient

from config.api.gates.cache_gate import CACHE
from tests.factories import make_product
from tests.test_rights import CALLERS, ROWS, Shop, filled, shop  # noqa: F401

pytestmark = pytest.mark.django_db

GETS = sorted(operation.removeprefix("GET ") for operation in ROWS if operation.startswith("GET "))
# Whose answers are told apart, beside those who have nothing in common with others.
WARMERS = ("anonymous", "owner", "editor", "root")
# What a path needs to be more than a 400.
QUERIES = {"products/suggest/": "?q=te"}
# Of the moment.
SIGNATURE = re.compile(rb"signature=[^\"]+|\"(?:url_)?expires[^,}]+")
UNCOMPARED = {"X-Request-ID", "X-Cache", "Server-Timing", "Date"}


type Told = tuple[int, dict[str, str], Any]


def ask(client: APIClient, path: str, states: list[str]) -> Told:
    """Without what tells one moment from another; what the cache said of it goes into `states`."""
    answer = client.get(f"/api/v1/{path}")
    body: Any = b"".join(answer) if answer.streaming else answer.content
    states.append(answer.headers.get("X-Cache", ""))
    headers = {name: value for name, value in answer.items() if name not in UNCOMPARED}
    if SIGNATURE.search(body):  # of a download, for some minutes from now on
        body = SIGNATURE.sub(b"", body)
        headers.pop("Content-Length", None)
    if headers.get("Content-Type") == "application/problem+json":
        body = {name: value for name, value in answer.json().items() if name != "request_id"}
        headers.pop("Content-Length", None)
    return answer.status_code, headers, body


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("path", GETS)
def test_no_caller_gets_an_answer_cached_for_another(path: str, shop: Shop, settings: Any) -> None:
    make_product(sku="DRAFT", title="Draft", status="draft")
    address = path.format(**shop.keys.get(path.partition("{")[0], {})) + QUERIES.get(path, "")
    settings.CACHE = "off"
    if path.startswith("auth/"):
        ask_all(shop, address)  # a token's last use is written once a minute
    plain = ask_all(shop, address)
    settings.CACHE = "on"
    # What is never kept is as good as asked for by one stranger and one who may do everything.
    for warmers in batched(WARMERS, 1, strict=True) if is_kept(path) else [("anonymous", "root")]:
        CACHE.clear()
        states: list[str] = []
        for warmer in warmers * 3:
            ask(shop.callers[warmer], address, states)
        assert ask_all(shop, address) == plain, warmers
        assert ("hit" in states) == is_kept(path), (warmers, states)


def ask_all(shop: Shop, address: str) -> dict[str, Told]:
    return {caller: ask(shop.callers[caller], address, []) for caller in CALLERS}


def is_kept(path: str) -> bool:
    """The catalogue, as far as everybody may read it; what is somebody's, or needs a right, never is."""
    lists = ("products/", "variants/", "brands/", "categories/", "attributes/", "locations/")
    return path.startswith(lists) and "history" not in path
