"""Plans of reads: the same question again is neither parsed nor compiled, and never answered with old rows."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.models.sql.compiler import SQLCompiler
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Category, Product
from config.api.reads.plans import PLANS
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

URL = "/api/v1/products/"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Django has compiled since."""
    sent: list[str] = []
    compile_sql = SQLCompiler.as_sql

    def record(self: SQLCompiler, *args: Any, **kwargs: Any) -> Any:
        sql, parameters = compile_sql(self, *args, **kwargs)
        sent.append(sql)
        return sql, parameters

    monkeypatch.setattr(SQLCompiler, "as_sql", record)
    return sent


def read_skus(caller: APIClient, query: str = "", **headers: Any) -> list[str]:
    return [row["sku"] for row in caller.get(f"{URL}?{query}", **headers).json()["results"]]


@pytest.mark.parametrize(
    "path", [URL, f"{URL}?brand=acme&ordering=price", f"{URL}?page=1&page_size=1", f"{URL}?search=tea", f"{URL}%s/"]
)
def test_a_list_is_compiled_once(path: str, client: APIClient, compiled: list[str]) -> None:
    first, _ = make_product(title="Tea", brand=make_brand("Acme")), make_product(title="Tea", brand=None)
    path = path.replace("%s", str(first.pk))
    expected = client.get(path)
    assert compiled
    compiled.clear()
    again = client.get(path)
    assert (again.status_code, again.content, compiled) == (200, expected.content, [])
    assert again.headers.keys() == expected.headers.keys()


def test_every_cursor_is_answered_by_one_statement(client: APIClient, compiled: list[str]) -> None:
    for _ in range(5):
        make_product()
    address, compilations = f"{URL}?page_size=1", []
    while address:
        compiled.clear()
        address = client.get(address).json()["next"]
        compilations.append(len(compiled))
    assert compilations[2:] == [0, 0, 0]
    # The first page's and the others': with a cursor a list may be refused.
    assert len(PLANS) == 2


def test_every_row_is_answered_by_one_statement(client: APIClient, compiled: list[str]) -> None:
    first, second = make_product(), make_product()
    client.get(f"{URL}{first.pk}/")
    compiled.clear()
    assert client.get(f"{URL}{second.pk}/").json()["sku"] == second.sku
    assert client.get(f"{URL}{second.pk + 1}/").status_code == 404
    assert compiled == []


def test_no_row_is_kept(client: APIClient) -> None:
    product = make_product(price="5.00")
    assert client.get(URL).json()["results"][0]["price"] == "5.00"
    Product.objects.filter(pk=product.pk).update(title="Changed")
    assert client.get(URL).json()["results"][0]["title"] == "Changed"
    product.delete()
    assert client.get(URL).json()["results"] == []


def test_a_plan_that_ran_a_query_is_not_cached(client: APIClient) -> None:
    home, tea = make_category("Home"), make_category("Food", "Tea")
    product = make_product(category=tea)
    assert read_skus(client, "category=home") == []
    Category.objects.filter(pk=tea.pk).update(parent=home)
    assert read_skus(client, "category=home") == [product.sku]


def test_callers_who_see_different_rows_share_no_plan(client: APIClient, staff: APIClient) -> None:
    active, draft = make_product(), make_product(status="draft")
    for _ in range(2):
        assert read_skus(client, "ordering=created_at") == [active.sku]
        assert read_skus(staff, "ordering=created_at") == [active.sku, draft.sku]
        assert client.get(f"{URL}{draft.pk}/").status_code == 404
        assert staff.get(f"{URL}{draft.pk}/").status_code == 200


def test_a_right_that_is_taken_away_is_gone_at_once() -> None:
    make_product(status="draft")
    user, view = User.objects.create_user("a@example.com"), Permission.objects.get(codename="view_product")
    caller = APIClient()
    counts = []
    for change in (user.user_permissions.add, user.user_permissions.remove):
        change(view)
        caller.force_authenticate(User.objects.get(pk=user.pk))
        counts.append(len(read_skus(caller)))
    assert counts == [1, 0]


def test_addresses_are_the_host_s_own(client: APIClient, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["one.example", "two.example"]
    make_product()
    for host in ("one.example", "two.example"):
        [row] = client.get(URL, HTTP_HOST=host).json()["results"]
        assert row["images_url"].startswith(f"http://{host}/")


def test_a_second_cursor_is_refused_with_a_plan_as_without(client: APIClient) -> None:
    for _ in range(2):
        make_product()
    cursor = client.get(f"{URL}?page_size=1").json()["next_cursor"]
    for _ in range(2):
        answer = client.get(f"{URL}?page_size=1&cursor={cursor}&cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
