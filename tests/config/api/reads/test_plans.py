"""Plans of reads: the same question again is neither parsed nor compiled, and never answered with old rows."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db.models.sql.compiler import SQLCompiler
from rest_framework.test import APIClient

from accounts.models import User
from catalog.models import Attribute, Category, Product
from config.api.freshness.leases import FRESHNESS, LogLease
from config.api.freshness.tables import note_reads
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


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give this process a lease for an hour, at a position, with the newest change of each table."""

    def take(position: int = 1, **changed: int) -> None:
        end = time.monotonic() + 3600
        monkeypatch.setattr(FRESHNESS, "lease", LogLease(end, end, "e", position, changed=changed))

    return take


def read_skus(caller: APIClient, query: str = "", **headers: Any) -> list[str]:
    return [row["sku"] for row in caller.get(f"{URL}?{query}", **headers).json()["results"]]


@pytest.mark.parametrize(
    "path",
    [
        URL, f"{URL}?brand=acme&ordering=price", f"{URL}?category=food", f"{URL}?page=1&page_size=1",
        f"{URL}?search=tea", f"{URL}%s/",
    ],
)  # fmt: skip
def test_a_list_is_compiled_once(path: str, client: APIClient, compiled: list[str], trust: Callable[..., None]) -> None:
    trust()
    make_category("Food", "Tea")
    first, _ = make_product(title="Tea", brand=make_brand("Acme")), make_product(title="Tea", brand=None)
    path = path.replace("%s", str(first.pk))
    expected = client.get(path)
    assert compiled
    compiled.clear()
    again = client.get(path)
    assert (again.status_code, again.content, compiled) == (200, expected.content, [])
    assert again.headers.keys() == expected.headers.keys()


def test_an_answer_depends_on_what_its_kept_plan_read(client: APIClient, trust: Callable[..., None]) -> None:
    trust()
    make_product(brand=make_brand("Acme"))
    for _ in range(2):
        with note_reads() as reads:
            client.get(f"{URL}?brand=acme&fields=id")
        assert "catalog_brand" in reads.tables


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


def test_a_plan_serves_until_a_table_changes_that_it_was_made_from(
    client: APIClient, compiled: list[str], trust: Callable[..., None]
) -> None:
    home, tea = make_category("Home"), make_category("Food", "Tea")
    product = make_product(category=tea)
    trust(position=5)
    assert read_skus(client, "category=home") == []
    Category.objects.filter(pk=tea.pk).update(parent=home)
    compiled.clear()
    trust(position=6, catalog_brand=6)  # the process hasn't heard of the move, so nobody has its acknowledgement
    assert (read_skus(client, "category=home"), compiled) == ([], [])
    trust(position=7, catalog_category=7)
    assert read_skus(client, "category=home") == [product.sku]


@pytest.mark.parametrize("header", [{}, {"HTTP_X_MIN_VERSION": "0"}])
def test_no_plan_serves_that_may_be_older_than_what_a_client_knows(
    header: dict[str, str], client: APIClient, trust: Callable[..., None]
) -> None:
    home, tea = make_category("Home"), make_category("Food", "Tea")
    product = make_product(category=tea)
    if header:
        trust()
    assert read_skus(client, "category=home") == []
    Category.objects.filter(pk=tea.pk).update(parent=home)
    assert read_skus(client, "category=home", **header) == [product.sku]


def test_a_plan_from_a_table_without_a_log_is_not_cached(
    client: APIClient, trust: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tables", "watched"):
        monkeypatch.setattr(FRESHNESS, name, getattr(FRESHNESS, name) - {"catalog_attribute"})
    trust()
    Attribute.objects.create(name="color", type="text")
    assert read_skus(client, "attr.color=red") == []
    Attribute.objects.all().delete()
    assert client.get(f"{URL}?attr.color=red").status_code == 400


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
