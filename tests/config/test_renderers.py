"""JSON in and out by drf-orjson-renderer's own methods, with what it lacks."""

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.utils.functional import lazystr
from drf_orjson_renderer.parsers import ORJSONParser
from drf_orjson_renderer.renderers import ORJSONRenderer
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.test import APIClient
from rest_framework.utils.serializer_helpers import ReturnDict

from config.api.rendering.renderers import JSONRenderer, write_json
from config.api.writes.parsers import JSONParser

SERIALIZER: Any = None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("10.90"), '"10.90"'),
        (datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC), '"2026-01-31T12:00:00.123456Z"'),
        (date(2026, 1, 31), '"2026-01-31"'),
        (timedelta(days=1, seconds=2), '"P1DT00H00M02S"'),
        (b"text", '"text"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (lazystr("later"), '"later"'),
        ({1: "a"}, '{"1":"a"}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (ReturnDict({"a": 1}, serializer=SERIALIZER), '{"a":1}'),
        ({"a"}, '["a"]'),
        ((1, 2), "[1,2]"),
        (orjson.Fragment(b'{"a":1}'), '{"a":1}'),
        (None, ""),
    ],
)
def test_each_kind_of_value_has_its_form_in_json(value: Any, text: str) -> None:
    assert JSONRenderer().render(value).decode() == text
    assert write_json(value).decode() == (text or "null")


def test_an_unknown_object_raises_and_is_not_written_as_null() -> None:
    with pytest.raises(TypeError):
        JSONRenderer().render({"a": object()})


@pytest.mark.parametrize(("media_type", "more"), [("text/html", {}), ("application/json", {"indent": 2})])
def test_a_person_gets_indented_lines_also_of_rows_that_came_as_json(media_type: str, more: dict[str, int]) -> None:
    page = {"results": [orjson.Fragment(b'{"id":1}')], "at": Decimal(1)}
    text = JSONRenderer().render(page, media_type, more).decode()
    assert text == '{\n  "results": [\n    {\n      "id": 1\n    }\n  ],\n  "at": "1"\n}'


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The methods of the package that were called."""
    names: list[str] = []

    def watch(kind: Any, name: str) -> None:
        real = getattr(kind, name)

        def note(*args: Any) -> Any:
            names.append(name)
            return real(*args)

        monkeypatch.setattr(kind, name, note)

    watch(ORJSONRenderer, "render")
    watch(ORJSONParser, "parse")
    return names


@pytest.mark.django_db
def test_the_package_s_own_methods_do_the_work(called: list[str], client: APIClient) -> None:
    answer = client.post("/api/v1/auth/login/", {"email": "a@example.com", "password": "wrong"})
    assert answer.json()["code"] == "wrong_credentials"
    assert called == ["parse", "render"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is not JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)"),
        (b"{", "The body is not JSON: unexpected end of data: line 1 column 2 (char 1)"),
        (b'"\xff"', "The body is not JSON: 'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
        (b"18446744073709551616", "The body has a number of more than 64 bits: send it as a string."),
        (b'{"a": 1, "b": [{"c": 1, "c" : 2}]}', "The body names 'c' twice in one object."),
        (b'{"a": 1, "\\u0061": 2}', "The body names 'a' twice in one object."),
        (b'"\\u0000"', "The body has a NUL character, which no text may have."),
    ],
)
def test_what_is_no_json_or_can_t_be_kept_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(ParseError) as refused:
        JSONParser().parse(BytesIO(body), "application/json")
    assert str(refused.value.detail) == sentence


@pytest.mark.parametrize("charset", ["bz2_codec", "rot13", "latin-1"])
def test_only_utf_8_is_taken(charset: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        JSONParser().parse(BytesIO(b"{}"), f"application/json; charset={charset}")
    assert JSONParser().parse(BytesIO('"é"'.encode()), "application/json; charset=UTF-8") == "é"


def test_a_text_that_looks_like_a_name_is_taken() -> None:
    body = b'{"a": "{\\"a\\": 1}", "b": {"a": "\\": "}}'
    assert JSONParser().parse(BytesIO(body), "application/json") == {"a": '{"a": 1}', "b": {"a": '": '}}


# -- what a client accepts, and how its body is packed -------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json;q=0.5, text/html;q=0.9", "text/html"),
        ("text/html;q=0.5, application/json;q=0.9", "application/json"),
        ("text/html;q=0, */*", "application/json"),
        ("application/json;q=0, */*", "text/html"),
        ("application/json;q=0.5, */*;q=0.8", "text/html"),
        ("application/*;q=0.9, text/html;q=0.8", "application/json"),
        ("text/html, */*", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
@pytest.mark.django_db
def test_the_weights_of_accept_choose(accept: str, kind: str, client: APIClient) -> None:
    for path in ("/api/v1/brands/", "/api/v1/brands/?x=1", "/nowhere/"):
        found = client.get(path, headers={"Accept": accept})["Content-Type"]
        assert found.split(";")[0].replace("problem+", "") == kind, path


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["a/b," * 1_100, "*/*," * 1_100, "text/html," * 500, "a" * 5_000])
def test_a_very_long_accept_header_is_not_read(accept: str, client: APIClient) -> None:
    answer = client.get("/api/v1/brands/", headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json()["detail"] == "The Accept header has more than 4,096 characters."
    # An error outside of DRF.
    assert client.get("/nothing/", headers={"Accept": accept}).json()["code"] == "not_found"


def test_nothing_that_is_weighed_zero_is_sent(client: APIClient) -> None:
    answer = client.get("/api/v1/brands/", headers={"Accept": "application/json;q=0, text/html;q=0.0"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def send_packed(caller: APIClient, body: bytes, coding: str = "gzip") -> Any:
    return caller.generic("POST", "/api/v1/products/", body, "application/json", headers={"Content-Encoding": coding})


BODY = b'{"sku": "A", "title": "Th\xc3\xa9", "price": "1"}'


@pytest.mark.django_db
def test_a_compressed_body_is_decompressed(staff: APIClient) -> None:
    answer = send_packed(staff, gzip.compress(BODY))
    assert (answer.status_code, answer.json()["title"]) == (201, "Th\u00e9")


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (BODY, "gzip", 400, "malformed_json"),
        (gzip.compress(BODY)[:-4], "gzip", 400, "malformed_json"),
        (gzip.compress(BODY) + b"x", "gzip", 400, "malformed_json"),
        (gzip.compress(b"[" + b" " * 3_000_000 + b"]"), "gzip", 413, "body_too_large"),
        (BODY, "br", 415, "unsupported_media_type"),
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip", 415, "unsupported_media_type"),
    ],
)
@pytest.mark.django_db
def test_a_body_that_cannot_be_decompressed_is_refused(
    body: bytes, coding: str, status: int, code: str, staff: APIClient
) -> None:
    answer = send_packed(staff, body, coding)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
