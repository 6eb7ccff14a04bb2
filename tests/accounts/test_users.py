"""Oneself, one's addresses, and users as staff see them: what is another's is as missing as what isn't there."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.addresses import GREATEST_ADDRESSES
from accounts.models import Address, User
from accounts.orders import place_order
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

ME, ADDRESSES, USERS = "/api/v1/me/", "/api/v1/me/addresses/", "/api/v1/users/"
HOME = {"name": "Mia Wu", "line1": "1 High St", "city": "Bath", "country": "GB"}


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def mia() -> User:
    return make_user(email="mia@example.com", first_name="Mia")


@pytest.fixture
def caller(mia: User) -> APIClient:
    return sign_in(mia)


@pytest.fixture
def support(db: None) -> APIClient:
    return sign_in(make_user("Support", email="support@example.com"))


# -- oneself -----------------------------------------------------------------------------------------------------


def test_me_is_the_caller(caller: APIClient, mia: User) -> None:
    answer = caller.get(ME)
    row = answer.json()
    assert row.pop("date_joined").endswith("Z")
    assert row == {"id": mia.pk, "email": "mia@example.com", "first_name": "Mia", "last_name": ""}
    assert answer["Cache-Control"] == "private, no-store"
    assert sign_in(make_user(email="max@example.com")).get(ME).json()["email"] == "max@example.com"
    assert APIClient().get(ME).status_code == 401


def test_people_change_their_name(caller: APIClient, mia: User) -> None:
    answer = caller.patch(ME, {"last_name": "Wu"})
    assert (answer.json()["first_name"], answer.json()["last_name"]) == ("Mia", "Wu")
    mia.refresh_from_db()
    assert mia.last_name == "Wu"


def test_users_cannot_change_their_permissions_or_their_address(caller: APIClient, mia: User) -> None:
    for name in sorted({column.name for column in User._meta.get_fields()} - {"first_name", "last_name"}):
        answer = caller.patch(ME, {name: "1"})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_member"), name
    mia.refresh_from_db()
    assert (mia.is_staff, mia.is_superuser, mia.email) == (False, False, "mia@example.com")


# -- addresses ---------------------------------------------------------------------------------------------------


def test_an_address_is_added_read_changed_and_deleted(caller: APIClient, mia: User) -> None:
    made = caller.post(ADDRESSES, HOME)
    assert made.status_code == 201
    row, url = made.json(), made["Location"]
    assert row == {"id": row["id"], **HOME, "line2": "", "postcode": "", "url": url}
    assert caller.get(url).json() == row
    assert Address.objects.get().user == mia
    assert caller.patch(url, {"postcode": "BA1"}).json() == row | {"postcode": "BA1"}
    assert caller.put(url, HOME | {"city": "Wells"}).json() == row | {"city": "Wells"}
    assert [each["city"] for each in caller.get(ADDRESSES).json()["results"]] == ["Wells"]
    assert caller.delete(url).status_code == 204
    assert caller.get(url).status_code == 404


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"country": "England"}, "/country", "invalid"),
        ({"country": "gb"}, "/country", "invalid"),
        ({"name": ""}, "/name", "blank"),
        ({"line1": "x" * 201}, "/line1", "max_length"),
        ({"user": 1}, "/user", "unknown_member"),
        ({"id": 1}, "/id", "unknown_member"),
    ],
)
def test_a_bad_address_is_named(change: dict[str, Any], pointer: str, code: str, caller: APIClient) -> None:
    answer = caller.post(ADDRESSES, HOME | change)
    [fault] = answer.json()["errors"]
    assert (answer.status_code, fault["pointer"], fault["code"]) == (400, pointer, code)


@pytest.mark.parametrize("role", [(), ("Support",), ("Catalogue editor",)])
def test_a_foreign_address_is_404_like_a_missing_one(role: tuple[str, ...], mia: User) -> None:
    theirs = Address.objects.create(user=mia, **HOME)
    caller = sign_in(make_user(*role))
    assert caller.get(ADDRESSES).json()["results"] == []
    for method, body in (("get", None), ("put", HOME), ("patch", {"city": "x"}), ("delete", None)):
        foreign, missing = (getattr(caller, method)(f"{ADDRESSES}{key}/", body) for key in (theirs.pk, 10**17))
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json() | {"request_id": ""} == missing.json() | {"request_id": ""}
    assert Address.objects.get().city == "Bath"


def test_the_number_of_addresses_is_limited(caller: APIClient, mia: User) -> None:
    Address.objects.bulk_create(Address(user=mia, **HOME) for _ in range(GREATEST_ADDRESSES - 1))
    Address.objects.create(user=make_user(), **HOME)
    answers = [caller.post(ADDRESSES, HOME) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "too_many_addresses"


# -- users -------------------------------------------------------------------------------------------------------


def list_queries(caller: APIClient, url: str) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert caller.get(url).status_code == 200
    return [query["sql"] for query in queries.captured_queries]


@pytest.fixture
def may_view(support: APIClient) -> APIClient:
    """Support, whose rights were read already, as they are once a request."""
    support.get(USERS)
    return support


@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_page_of_users_costs_two_queries(size: int, may_view: APIClient) -> None:
    for _ in range(size):
        user = make_user()
        Address.objects.bulk_create(Address(user=user, **HOME) for _ in range(3))
    users, addresses = list_queries(may_view, f"{USERS}?page_size=200")
    assert "accounts_address" not in users
    assert "password" not in users
    assert 'FROM "accounts_address"' in addresses


@pytest.mark.parametrize("size", [1, 10, 50])
def test_a_user_costs_two_queries_with_however_many_addresses(size: int, may_view: APIClient, mia: User) -> None:
    Address.objects.bulk_create(Address(user=mia, **HOME) for _ in range(size))
    user, addresses = list_queries(may_view, f"{USERS}{mia.pk}/")
    assert "accounts_address" not in user
    assert 'FROM "accounts_address"' in addresses
    assert len(may_view.get(f"{USERS}{mia.pk}/").json()["addresses"]) == size


def test_orders_are_not_read_until_they_are_asked_for(may_view: APIClient, mia: User) -> None:
    make_product(sku="TEA", stock=3)
    numbers = [place_order(mia, [{"sku": "TEA", "quantity": 1}]).number for _ in range(3)]
    assert not [sql for sql in list_queries(may_view, USERS) if "order" in sql.lower().replace("order by", "")]
    url = may_view.get(f"{USERS}{mia.pk}/").json()["orders_url"]
    assert url == f"http://testserver{USERS}{mia.pk}/orders/"
    page = may_view.get(f"{url}?page_size=2").json()
    assert [row["number"] for row in page["results"]] == numbers[:0:-1]
    assert [row["number"] for row in may_view.get(page["next"]).json()["results"]] == numbers[:1]
    # 1. the user is there  2. the orders with their lines
    assert len(list_queries(may_view, url)) == 2


def test_a_user_shows_no_secret(may_view: APIClient, mia: User) -> None:
    Address.objects.create(user=mia, **HOME)
    row = may_view.get(f"{USERS}{mia.pk}/").json()
    assert list(row) == [
        "id", "email", "first_name", "last_name", "is_active", "is_staff", "date_joined", "addresses", "orders_url",
        "url",
    ]  # fmt: skip
    assert row["addresses"][0]["city"] == "Bath"
    assert may_view.get(f"{USERS}{mia.pk}/?fields=id,addresses").json() == {
        key: row[key] for key in ("id", "addresses")
    }
    for query in ("fields=password", "expand=orders", "ordering=password", "password=x", "orders__total=1"):
        assert may_view.get(f"{USERS}?{query}").status_code == 400


def test_users_are_found_by_address_and_paged(may_view: APIClient, mia: User) -> None:
    assert [row["id"] for row in may_view.get(f"{USERS}?email=MIA@example.com").json()["results"]] == [mia.pk]
    for _ in range(5):
        make_user()
    url, seen = f"{USERS}?page_size=2", []
    while url:
        page = may_view.get(url).json()
        seen += [row["email"] for row in page["results"]]
        url = page["next"]
    assert seen == sorted(User.objects.values_list("email", flat=True))
    numbered = may_view.get(f"{USERS}?page=2&page_size=2").json()
    assert ([row["email"] for row in numbered["results"]], numbered["count"]) == (seen[2:4], len(seen))


def test_only_who_may_view_users_does(caller: APIClient, mia: User) -> None:
    other = make_user()
    for user in (mia, other):
        for url in (USERS, f"{USERS}{user.pk}/", f"{USERS}{user.pk}/orders/", f"{USERS}{10**17}/orders/"):
            answer = caller.get(url)
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
            assert APIClient().get(url).status_code == 401


def test_who_may_view_orders_alone_finds_no_other_user(mia: User) -> None:
    clerk = make_user()
    clerk.user_permissions.add(Permission.objects.get(codename="view_order"))
    assert sign_in(clerk).get(f"{USERS}{mia.pk}/orders/").status_code == 404
    assert sign_in(clerk).get(f"{USERS}{clerk.pk}/orders/").status_code == 200


def test_a_missing_user_is_missing(may_view: APIClient) -> None:
    for url in (f"{USERS}{10**17}/", f"{USERS}{10**17}/orders/"):
        assert may_view.get(url).status_code == 404
