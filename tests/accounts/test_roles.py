"""The groups that migrations make, and what `is_staff` doesn't give."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from tests.factories import make_product, make_user

pytestmark = pytest.mark.django_db

roles = import_module("accounts.migrations.0002_roles")
viewers = import_module("accounts.migrations.0018_viewers")
EXPORT = "/api/v1/exports/products.csv"


def sign_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def fresh() -> None:
    """A database in which nobody has made a permission yet, as the migration finds it."""
    Group.objects.all().delete()
    Permission.objects.all().delete()


def list_rights() -> dict[str, set[str]]:
    return {
        group.name: {f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.all()}
        for group in Group.objects.all()
    }


def test_the_migration_makes_three_roles(fresh: None) -> None:
    roles.create_roles(apps, connection.schema_editor())
    assert list_rights() == {name: set(codes) for name, codes in roles.ROLES.items()}
    assert set(list_rights()) == {"Catalogue editor", "Export partner", "Support"}


def test_its_permissions_are_those_that_django_makes(fresh: None) -> None:
    roles.create_roles(apps, connection.schema_editor())
    ours = set(Permission.objects.values_list("content_type__app_label", "codename", "name"))
    Permission.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert ours <= set(Permission.objects.values_list("content_type__app_label", "codename", "name"))


def test_viewers_are_a_fourth_role_with_permissions_that_django_makes(fresh: None) -> None:
    viewers.create_viewers(apps, connection.schema_editor())
    assert list_rights() == {viewers.NAME: {f"catalog.view_{name}" for name in viewers.VIEWED}}
    ours = set(Permission.objects.values_list("content_type__app_label", "codename", "name"))
    Permission.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert ours <= set(Permission.objects.values_list("content_type__app_label", "codename", "name"))


def test_a_viewer_sees_drafts_and_changes_nothing() -> None:
    product = make_product(status="draft")
    user = make_user(viewers.NAME, is_staff=True)
    viewer, url = sign_in(user), f"/api/v1/products/{product.pk}/"
    assert viewer.get(url).json()["status"] == "draft"
    assert [viewer.patch(url, {"title": "x"}).status_code, viewer.delete(url).status_code] == [403, 403]
    assert viewer.get(EXPORT).status_code == 403
    browser = Client()
    browser.force_login(user)
    path = f"/admin/catalog/product/{product.pk}/change/"
    assert browser.get(path).status_code == 200
    assert browser.post(path, {"title": "x"}).status_code == 403
    assert browser.get("/admin/accounts/user/").status_code == 403


def test_a_role_that_the_owner_changed_stays_changed(fresh: None) -> None:
    roles.create_roles(apps, connection.schema_editor())
    Group.objects.get(name="Support").permissions.clear()
    roles.create_roles(apps, connection.schema_editor())
    assert list_rights()["Support"] == set()


@pytest.mark.slow
def test_an_export_needs_the_right_to_export() -> None:
    make_product()
    for user in (make_user(), make_user("Catalogue editor"), make_user("Support"), make_user(is_staff=True)):
        answer = sign_in(user).get(EXPORT)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert sign_in(make_user("Export partner")).get(EXPORT).status_code == 200


def test_staff_status_by_itself_opens_only_the_admin() -> None:
    product = make_product(status="draft")
    clerk = sign_in(make_user(is_staff=True))
    assert clerk.get(f"/api/v1/products/{product.pk}/").status_code == 404
    assert clerk.patch(f"/api/v1/products/{product.pk}/", {"title": "x"}).status_code == 403


def test_an_editor_writes_the_catalogue_without_staff_status() -> None:
    product = make_product(status="draft")
    editor = sign_in(make_user("Catalogue editor"))
    assert editor.patch(f"/api/v1/products/{product.pk}/", {"status": "active"}).json()["status"] == "active"
