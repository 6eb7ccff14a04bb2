"""The dearest that a stranger may ask, of every route: what one such request takes, and what others feel of many."""

import http.client
import os
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.attacks.floods import ATTACKS, LETTERS, UNKNOWN
from tests.attacks.main import miss_protections, run_attacks, serve
from tests.attacks.protections import PROTECTIONS
from tests.services import missing_binaries
from tests.test_any_text import list_routes

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(missing_binaries()), reason=f"missing {', '.join(missing_binaries())}"),
]

PRODUCTS = int(os.environ.get("ATTACKED_PRODUCTS", "30000"))
# Milliseconds of the database, and of the rest.
MOST_MS = 250
REFUSED = {400, 401, 403, 404, 405, 406, 413, 415, 429, 503}
TIMING = re.compile(r"db;dur=([\d.]+).*total;dur=([\d.]+)")

EXPAND = "brand,category,images,variants.stock"
SEARCHES = (
    "a",
    LETTERS.replace("+", " "),
    "0 1 2 3 4 5 6 7 8 9",
    "zzzqqq xxxyyy",
    "tea",
    " ".join("abcdefghijklmnopqrstuvwxyz"),
)
FILTERS: tuple[dict[str, str], ...] = (
    {}, {"price_min": "9999999"}, {"in_stock": "false", "price_max": "0.01"}, {"status": "active"},
    {"created_after": "1990-01-01", "price_min": "0"}, {"id": ",".join(map(str, range(1, 201)))},
    {"sku": ",".join("x" * 100 for _ in range(200))}, {"brand": "tidewater"}, {"updated_since": "2100-01-01T00:00:00Z"},
    {"attr.weight.min": "0", "attr.weight.max": "1000000"}, {"attr.weight.min": "99999999"}, {"currency": "XAF"},
    {f"attr.{name}.not": ",".join(map(str, range(50))) for name in ("color", "material", "collection")},
    *({"search": words} for words in SEARCHES),
)  # fmt: skip
PAGES: tuple[dict[str, str], ...] = (
    {"page": "50", "page_size": "200"}, {"page": "51", "page_size": "200"}, {"page_size": "200", "count": "exact"},
    {"page": "10000", "page_size": "1"}, {"page_size": "1", "count": "estimated"},
)  # fmt: skip
ORDERINGS = ("", "created_at", "-updated_at", "price", "-title", "rating")


def list_reads() -> Iterator[str]:
    for filters in FILTERS:
        for page in PAGES:
            for ordering in ORDERINGS:
                asked = {**filters, **page, "expand": EXPAND} | ({"ordering": ordering} if ordering else {})
                yield f"/api/v1/products/?{urlencode(asked)}"
    for route in list_routes():
        path = re.sub(r"<[^>]+>|\(\?P<\w+>(?:[^()]|\([^()]*\))*\)", "1", route).replace("^", "")
        yield from (path, f"{path}?page=50&page_size=200&count=exact")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve(PRODUCTS, RATE_LIMIT_ANON="off") as port:
        yield port


def ask(port: int, method: str, address: str, body: bytes = b"", content_type: str = "") -> tuple[int, float, float]:
    """Status, milliseconds of the database, and milliseconds of the rest."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        client.request(method, address, body, {"Content-Type": content_type} if content_type else {})
        answer = client.getresponse()
        answer.read()
        found = TIMING.search(answer.headers.get("Server-Timing", ""))
        database, whole = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
        return answer.status, database, whole - database
    finally:
        client.close()


def find_dear(port: int, method: str, address: str, *body: bytes | str) -> str:
    """What is wrong with the answer, twice: the first time PostgreSQL may read from the disk. Empty if nothing is."""
    for _ in range(3):
        status, database, rest = ask(port, method, address, *body)  # type: ignore[arg-type]
        if status in REFUSED | {200, 301, 302, 304} and database <= MOST_MS * 1.2 and rest <= MOST_MS:
            return ""
    return f"{status} after {database} and {rest} ms: {method} {address[:200]}"


def test_no_read_is_expensive(port: int) -> None:
    reads = sorted(set(list_reads()))
    assert len(reads) > 400
    assert [dear for address in reads if (dear := find_dear(port, "GET", address))] == []


BODIES: tuple[tuple[bytes, str], ...] = (
    (UNKNOWN, "application/json"),
    (b"[" * 8_000, "application/json"),
    (b'{"email": "' + b"x" * 8_000 + b'", "password": "x"}', "application/json"),
    (b"&".join(b"a%d=1" % number for number in range(900)), "application/x-www-form-urlencoded"),
    (b"".join(b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n' % n for n in range(145)) + b"--x--\r\n",
     "multipart/form-data; boundary=x"),
)  # fmt: skip


def test_no_body_is_expensive(port: int) -> None:
    paths = {
        re.sub(r"<[^>]+>|\(\?P<\w+>(?:[^()]|\([^()]*\))*\)", "1", route).replace("^", "") for route in list_routes()
    }
    assert "/admin/login/" in paths
    found = [find_dear(port, "POST", path, *body) for path in sorted(paths) for body in BODIES]
    assert [dear for dear in found if dear] == []


def test_others_go_on_while_a_stranger_attacks() -> None:
    with serve(PRODUCTS) as port:
        outcomes = list(run_attacks(port, list(ATTACKS), seconds=4))
    assert [str(outcome) for outcome in outcomes if outcome.is_hurt] == []


def test_each_protection_is_missed_when_it_is_taken_off() -> None:
    missed = miss_protections(list(PROTECTIONS), max(PRODUCTS, 60_000), seconds=4)
    found = {name: [outcome.is_hurt for outcome in outcomes] for name, outcomes in missed}
    assert [name for name, hurt in found.items() if not any(hurt)] == []
