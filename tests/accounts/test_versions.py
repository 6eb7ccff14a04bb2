"""Users, addresses and orders count their changes, and are written only upon the version that a caller has seen."""

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Address, Order, User
from tests.factories import make_user

pytestmark = pytest.mark.django_db

ADDRESS = {"name": "Mia Wu", "line1": "1 High St", "city": "Leeds", "country": "GB"}


@pytest.fixture
def mia() -> User:
    return make_user(email="mia@example.com")


@pytest.fixture
def caller(mia: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(mia)
    return client


def make_rows(user: User) -> list[Any]:
    address = Address.objects.create(user=user, **ADDRESS)
    return [user, address, Order.objects.create(user=user, number="7K3M9QWTX2FA")]


CHANGES = {User: {"first_name": "Mia"}, Address: {"city": "York"}, Order: {"status": "paid"}}


def test_a_version_counts_real_changes_only(mia: User) -> None:
    for row in make_rows(mia):
        rows = type(row)._default_manager.filter(pk=row.pk)
        versions = []
        for _ in range(2):  # the second changes nothing
            rows.update(**CHANGES[type(row)])
            versions.append(rows.values_list("version", flat=True).get())
        rows.update(version=40)
        versions.append(rows.values_list("version", flat=True).get())
        assert versions == [2, 2, 2], row


def test_signing_in_changes_nobody(mia: User) -> None:
    User.objects.filter(pk=mia.pk).update(last_login=timezone.now())
    mia.refresh_from_db()
    assert mia.version == 1


@pytest.mark.parametrize(("path", "change"), [("me/", {"first_name": "Mia"}), ("me/addresses/", {"city": "York"})])
def test_a_write_with_an_old_version_is_refused(path: str, change: dict[str, str], caller: APIClient) -> None:
    address = f"/api/v1/{path}"
    if path == "me/addresses/":
        address += f"{caller.post(address, ADDRESS).json()['id']}/"
    etag = caller.get(address)["ETag"]
    assert etag.startswith('W/"1.')
    first = caller.patch(address, change, headers={"If-Match": etag})
    assert (first.status_code, first["ETag"][:5]) == (200, 'W/"2.')
    second = caller.patch(address, dict.fromkeys(change, "Other"), headers={"If-Match": etag})
    assert (second.status_code, second.json()["code"]) == (412, "precondition_failed")
    assert caller.get(address)["ETag"] == first["ETag"]
