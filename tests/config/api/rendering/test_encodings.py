"""Accept-Encoding: what RFC 9110 says of a header, and every door that answers does the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from accounts.models import AuthToken
from config.api.gates.cache_gate import AT_THE_GATE
from config.api.gates.plan_gate import PlanGate
from config.api.rendering.encodings import CODINGS, IDENTITY, LONGEST_KEPT, choose_coding, read_weights
from tests.factories import make_product, make_user
from tests.gates import UNPACK, Ask, Django, make_token, send, warm
from tests.launching import find_database_url, launch_server

sees_rows = pytest.mark.django_db(transaction=True)

PRODUCTS = "/api/v1/products/"
CSV = "/api/v1/exports/products.csv"
SCHEMA = "/api/v1/schema/"
SCRIPT = "/static/rest_framework/js/default.js"


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        # A browser's, from the oldest to today's.
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
        ("*;q=0.1, gzip;q=0.2", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000", ""),
        ("gzip;q=0, *", "zstd"),
        ("br;q=0.9, zstd;q=0.8, gzip", "gzip"),
        ("br ; q=0.5\t,\tgzip;q=0.4", "br"),
        ("deflate, compress", ""),
        # A client that wants plain bytes more; one that wants them as much gets fewer.
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, br", "br"),
        # Nothing that we have: plain bytes, which everybody reads.
        ("identity;q=0", ""),
        ("*;q=0", ""),
        ("identity;q=0, *;q=0, deflate", ""),
        # What can't be read is left out, and the rest counts.
        ("gzip;q=2", ""),
        ("gzip;q=0.1234", ""),
        ("gzip;q=x, br", "br"),
        (";;,, ,br,", "br"),
        ("br gzip", ""),
        ("gzip;level=9", ""),
    ],
)
def test_the_coding_is_the_one_that_the_client_wants_most(header: str, coding: str) -> None:
    assert choose_coding(header) == coding


def test_a_long_header_is_read_and_not_remembered() -> None:
    before = read_weights.cache_info().currsize
    assert choose_coding(f"gzip, {'x' * LONGEST_KEPT}") == "gzip"
    assert read_weights.cache_info().currsize == before


def test_a_very_long_header_is_not_read() -> None:
    assert choose_coding("gzip," * 800) == "gzip"
    assert choose_coding("gzip," * 1_000) == IDENTITY


# -- every door --------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["zstd", "br", "gzip", "x-gzip", "GZip", "identity", "deflate", "*"])
WEIGHTS = st.sampled_from(["", ";q=1", ";q=0", ";q=0.5", "; q=0.500", " ;Q=0.25", ";q=2", ";q=x", ";level=1", ";q=0."])
PARTS = st.builds(str.__add__, NAMES, WEIGHTS)
LATIN = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20)
HEADERS = st.lists(st.one_of(PARTS, LATIN), max_size=5).map(", ".join) | LATIN

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Takes an Accept-Encoding; gives the coding of the answer, and its body unpacked.
type Door = Callable[[str], tuple[str, bytes]]


def open_door(ask: Ask, address: str, **headers: Any) -> Door:
    def knock(accept: str) -> tuple[str, bytes]:
        status, told, body = ask(address, HTTP_ACCEPT_ENCODING=accept, **headers)
        assert status == 200
        assert "Accept-Encoding" in told["Vary"]
        coding = told.get("Content-Encoding")
        assert coding is None or told.get("Content-Length", len(body)) in (len(body), str(len(body)))
        return coding or IDENTITY, UNPACK[coding](body)

    return knock


@pytest.fixture
def doors(ask: Ask, django: Django) -> dict[str, Door]:
    for _ in range(5):
        make_product()
    partner = make_token("partner@example.com", "view_product", "export_product")
    ask_django = partial(send, django, **{AT_THE_GATE: True})
    ask_plans = partial(send, PlanGate(django), **{AT_THE_GATE: True})
    for way in (ask, ask_plans):
        warm(way, PRODUCTS)
    return {
        "kept": open_door(ask, PRODUCTS),
        "plan gate": open_door(ask_plans, PRODUCTS),
        "Django": open_door(ask_django, PRODUCTS),
        "export": open_door(ask_django, CSV, **partner),
        "document": open_door(ask_django, SCHEMA),
        "static file": open_door(ask_django, SCRIPT),
    }


@pytest.fixture
def plain_bodies(doors: dict[str, Door]) -> dict[str, bytes]:
    bodies = {name: knock("")[1] for name, knock in doors.items()}
    assert bodies["kept"] == bodies["plan gate"] == bodies["Django"]
    return bodies


@pytest.mark.slow
@sees_rows
@FEW
@given(header=HEADERS)
@example(header="*")
@example(header="gzip, deflate, br, zstd")
@example(header="gzip;q=0, identity;q=0")
def test_every_door_chooses_the_same_coding_for_the_same_header(
    header: str, doors: dict[str, Door], plain_bodies: dict[str, bytes]
) -> None:
    answers = {name: knock(header) for name, knock in doors.items()}
    assert {name: coding for name, (coding, _) in answers.items()} == dict.fromkeys(doors, choose_coding(header))
    assert {name: body for name, (_, body) in answers.items()} == plain_bodies


@sees_rows
def test_each_of_the_doors_is_the_one_that_it_is_called(doors: dict[str, Door], ask: Ask, django: Django) -> None:
    asked = django.asked
    doors["kept"]("br")
    doors["plan gate"]("br")
    assert django.asked == asked
    doors["Django"]("br")
    assert django.asked == asked + 1


@sees_rows
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_script_is_compressed_a_piece_of_it_is_not(coding: str, client: APIClient) -> None:
    plain = b"".join(client.get(SCRIPT))
    whole = client.get(SCRIPT, HTTP_ACCEPT_ENCODING=coding)
    assert whole["Content-Encoding"] == coding
    assert UNPACK[coding](b"".join(whole)) == plain
    piece = client.get(SCRIPT, HTTP_ACCEPT_ENCODING=coding, HTTP_RANGE="bytes=0-999")
    assert (piece.status_code, b"".join(piece)) == (206, plain[:1000])
    assert "Content-Encoding" not in piece


# -- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@sees_rows
def test_what_a_browser_asks_with_its_cookies_is_padded_gzip_and_nothing_else(client: APIClient) -> None:
    """Else the length of a compressed secret would tell it, letter by letter (BREACH)."""
    for _ in range(5):
        make_product()
    make_user(email="mia@example.com")
    client.login(email="mia@example.com", password="secret")
    answers = [client.get(PRODUCTS, HTTP_ACCEPT_ENCODING="gzip, deflate, br, zstd") for _ in range(30)]
    assert {answer["Content-Encoding"] for answer in answers} == {"gzip"}
    assert len({answer["Content-Length"] for answer in answers}) > 5
    assert "Content-Encoding" not in client.get(PRODUCTS, HTTP_ACCEPT_ENCODING="br, zstd")
    assert "Content-Encoding" not in client.get(PRODUCTS, HTTP_ACCEPT_ENCODING="br, gzip;q=0")


@sees_rows
def test_a_form_asked_for_with_cookies_is_padded(client: APIClient) -> None:
    login = "/api/v1/auth/session/login/"
    page = {"HTTP_ACCEPT": "text/html", "HTTP_ACCEPT_ENCODING": "gzip, br, zstd"}
    client.get(login, **page)
    assert client.cookies["csrftoken"].value
    assert client.get(login, **page)["Content-Encoding"] == "gzip"


# -- a real client ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.once  # every coding, whichever database the rows come from
@sees_rows
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl on this machine")
def test_curl_reads_what_a_server_sends() -> None:
    """By itself: the coding that it names, one member, and its end."""
    for number in range(30):
        make_product(title=f"Product {number}")
    token = AuthToken.objects.create(make_user("Export partner"))[1]
    with launch_server(DATABASE_URL=find_database_url(), LOG_LEVEL="WARNING") as (server, _):
        for address in (PRODUCTS, CSV, SCHEMA, SCRIPT, "/api/v1/docs/"):
            plain = ask_curl(f"{server}{address}", token)[1]
            for accept in (None, "br", "zstd", "gzip"):
                for _ in range(3):  # the third is a kept one
                    coding, body = ask_curl(f"{server}{address}", token, accept)
                    assert (body, coding in CODINGS) == (plain, True), (address, accept)
                    assert coding == accept or accept is None


def ask_curl(url: str, token: str, *accept: str | None) -> tuple[str, bytes]:
    """The coding, and what curl has read; `accept` of None is all that it knows."""
    wish = ["--compressed", *(["-H", f"Accept-Encoding: {accept[0]}"] if accept[0] else [])] if accept else []
    who = ["-H", f"Authorization: Token {token}"] if "/exports/" in url else []
    command = ["curl", "-sS", "--fail", "--max-time", "30", "-D", "-", *wish, *who, url]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.search(rb"(?im)^content-encoding: *(\S+)\r?$", head)
    return found[1].decode() if found else IDENTITY, body
