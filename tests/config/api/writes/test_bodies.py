"""How large, how deep and how long a body may be; each refusal names its limit."""

import json
from typing import Any

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from catalog.models import Product
from config.api.writes.parsers import GREATEST_DEPTH, GREATEST_LENGTH

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"
TEA = {"sku": "TEA-1", "title": "Green Tea", "price": "4.50"}


def nest(levels: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * levels + "1" + closing * levels


def post(client: APIClient, body: str, path: str = URL) -> Any:
    return client.post(path, body, content_type="application/json")


def read_fault(answer: Any) -> tuple[int, str, str, str]:
    problem = answer.json()
    [fault] = problem["errors"]
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, problem["code"], fault["pointer"], problem["detail"]


@pytest.mark.parametrize("levels", [GREATEST_DEPTH + 1, 1000, 10_000, 400_000])
@pytest.mark.parametrize("brackets", ['{"a":}', "[]"])
def test_a_body_may_be_nested_only_so_deep(levels: int, brackets: str, staff: APIClient) -> None:
    body = nest(levels, brackets[:-1], brackets[-1])
    status, code, pointer, detail = read_fault(post(staff, body[: settings.DATA_UPLOAD_MAX_MEMORY_SIZE]))
    assert (status, code) == (400, "body_too_deep")
    assert detail == f"The body is nested deeper than {GREATEST_DEPTH} levels."
    if levels <= 1000:  # deeper than that, the parser doesn't say where it gave up
        assert pointer == ("/a" if "a" in brackets else "/0") * GREATEST_DEPTH


def test_the_greatest_allowed_depth_is_accepted(staff: APIClient) -> None:
    # The body itself is the first level.
    body = json.dumps(TEA)[:-1] + f', "attributes": {nest(GREATEST_DEPTH - 1)}}}'
    assert post(staff, body).status_code == 201


@pytest.mark.parametrize("kind", ["list", "object"])
def test_a_list_may_have_only_so_many_entries(kind: str, staff: APIClient) -> None:
    many = GREATEST_LENGTH + 1
    long = [1] * many if kind == "list" else {f"n{number}": 1 for number in range(many)}
    status, code, pointer, detail = read_fault(post(staff, json.dumps(TEA | {"attributes": {"a/b": long}})))
    assert (status, code, pointer) == (400, "invalid_body", "/attributes/a~1b")
    assert detail == f"/attributes/a~1b: This has {many} entries; at most {GREATEST_LENGTH} are allowed."
    assert not Product.objects.exists()


@pytest.mark.parametrize("name", ["variants", "images"])
def test_nested_rows_have_their_own_limit(name: str, staff: APIClient) -> None:
    status, code, pointer, detail = read_fault(post(staff, json.dumps(TEA | {name: [{}] * 251})))
    assert (status, code, pointer) == (400, "invalid_body", f"/{name}")
    assert "250" in detail


def test_bulk_lists_have_their_own_limit(staff: APIClient) -> None:
    body = {"mode": "create", "items": [{"sku": f"A-{number}"} for number in range(1001)]}
    status, code, pointer, detail = read_fault(post(staff, json.dumps(body), f"{URL}bulk/"))
    assert (status, code, pointer) == (400, "invalid_body", "/items")
    assert "1000" in detail


def test_the_greatest_size_is_named(staff: APIClient) -> None:
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    answer = post(staff, json.dumps(TEA | {"description": "x" * most}))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert str(most) in answer.json()["detail"]
