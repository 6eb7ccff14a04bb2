"""`?explain=1`: the plan of a read, for who may see every row, and for nobody else."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from catalog.models import Product
from config.api.reads import explaining
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"


def list_nodes(plan: Any) -> list[str]:
    """What the database does, as words: node types on PostgreSQL, details on SQLite."""
    if connection.vendor == "sqlite":
        return [step["detail"] for step in plan]
    found, waiting = [], [plan[0]["Plan"]]
    while waiting:
        node = waiting.pop()
        found.append(f"{node['Node Type']} {node.get('Relation Name', '')}")
        waiting += node.get("Plans", [])
    return found


def explain(staff: APIClient, address: str) -> list[dict[str, Any]]:
    answer = staff.get(address)
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "private, no-store"
    statements: list[dict[str, Any]] = answer.json()["statements"]
    return statements


@pytest.mark.parametrize("address", [f"{URL}?explain=1&sku=x", f"{URL}?page=1&count=exact&explain=1"])
def test_a_list_tells_its_statements_and_their_plans(address: str, staff: APIClient) -> None:
    make_product()
    page = [each for each in explain(staff, address) if "catalog_product" in each["sql"]][-1]
    assert page["sql"].startswith("SELECT")
    assert page["ms"] > 0
    assert any("catalog_product" in node for node in list_nodes(page["plan"]))


def test_a_row_tells_by_which_index_it_was_found(staff: APIClient) -> None:
    product = make_product()
    [read] = [each for each in explain(staff, f"{URL}{product.pk}/?explain=1") if "catalog_product" in each["sql"]]
    assert product.pk in read["parameters"]
    assert list_nodes(read["plan"])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's plan has no times")
def test_postgresql_tells_how_long_each_step_took(staff: APIClient) -> None:
    make_product()
    [page] = [each for each in explain(staff, f"{URL}?explain=1") if "catalog_product" in each["sql"]]
    assert page["plan"][0]["Execution Time"] > 0
    assert page["plan"][0]["Plan"]["Actual Rows"] == 1


def test_strangers_and_signed_in_callers_without_the_right_get_no_plan(client: APIClient) -> None:
    assert client.get(f"{URL}?explain=1").status_code == 401
    user = make_user()
    client.force_authenticate(user)
    answer = client.get(f"{URL}?explain=1")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "It needs catalog.view_product." in answer.json()["detail"]
    user.user_permissions.add(Permission.objects.get(codename="view_product"))
    client.force_authenticate(type(user).objects.get(pk=user.pk))
    assert "statements" in client.get(f"{URL}?explain=1").json()
    # Of the model at hand: products' right opens no orders.
    assert client.get("/api/v1/orders/?explain=1").status_code == 403


def test_what_it_explains_is_read_as_the_caller_s_own(staff: APIClient, client: APIClient) -> None:
    """The next answer without it is the rows again, from a cache that heard of no plan."""
    make_product()
    explain(staff, f"{URL}?explain=1")
    assert "results" in staff.get(URL).json()
    assert "results" in client.get(URL).json()


@pytest.mark.parametrize("address", [f"{URL}?explain=yes", f"{URL}?explain=1&prise=3"])
def test_other_errors_are_refused_as_always(address: str, staff: APIClient) -> None:
    answer = staff.get(address)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_a_write_is_never_explained(staff: APIClient) -> None:
    answer = staff.patch(f"{URL}{make_product().pk}/?explain=1", {"title": "Other"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
    assert Product.objects.get().title != "Other"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite explains without doing")
def test_explaining_changes_nothing(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if a read had a function in it that writes.
    write = "WITH changed AS (UPDATE catalog_product SET title = 'Changed' RETURNING id) "
    monkeypatch.setattr(explaining, "ANALYZE", explaining.ANALYZE + write)
    make_product()
    staff.raise_request_exception = False
    answer = staff.get(f"{URL}?explain=1")
    assert answer.status_code == 503
    assert not Product.objects.filter(title="Changed").exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite explains without doing")
def test_a_plan_that_takes_too_long_is_ended_as_any_request(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_too_long(*args: Any) -> None:
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(explaining, "read_plan", take_too_long)
    make_product()
    staff.raise_request_exception = False
    assert staff.get(f"{URL}?explain=1").status_code in (503, 504)
