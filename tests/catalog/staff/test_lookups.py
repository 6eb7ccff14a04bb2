"""What the address of a list may ask for: only what a filter of the list names."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory

from accounts.models import Registration
from catalog.models import Product
from tests.factories import make_product

pytestmark = pytest.mark.django_db

# Secrets that no page shows. With a lookup they could be found letter by letter.
SECRETS = (
    "accounts/sessionowner/?session__session_key__startswith=",
    "accounts/registration/?password__startswith=",
    "accounts/authtoken/?digest__startswith=",
    "accounts/authtoken/?pk__startswith=",
    "accounts/authtoken/?children__digest__startswith=",
    "accounts/user/?password__startswith=",
    "api/webhook/?secret__startswith=",
    "exports/feed/?secret__startswith=",
    "catalog/change/?before__icontains=",
)


@pytest.mark.parametrize("address", SECRETS)
def test_no_list_is_filtered_by_a_secret(address: str, admin_client: Client) -> None:
    Registration.objects.create(email="mia@example.com", password="pbkdf2")
    assert admin_client.get(f"/admin/{address}a").status_code == 400


def test_no_list_is_filtered_by_a_column_without_a_filter(admin_user: Any, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = admin_user
    for model, page in admin.site._registry.items():
        for field in model._meta.concrete_fields:
            lookups = (field.name, field.attname, f"{field.name}__startswith", f"{field.name}__pk__gt")
            if field.name not in page.list_filtered(request):
                assert not [lookup for lookup in lookups if page.lookup_allowed(lookup, "a", request)], model


def test_a_list_is_filtered_by_what_its_filters_name(admin_client: Client) -> None:
    make_product(title="Green Tea"), make_product(title="Draft Tea", status="draft")
    page = admin_client.get("/admin/catalog/product/?status__exact=draft").content.decode()
    assert "Draft Tea" in page
    assert "Green Tea" not in page


@pytest.mark.parametrize("address", ["product/?status__exact=%00", "change/?who=%00", "undojob/begin/?request_id=%00"])
def test_a_character_that_no_text_may_have_is_refused(address: str, admin_client: Client) -> None:
    assert admin_client.get(f"/admin/catalog/{address}").status_code == 400


@pytest.mark.parametrize("key", ["a", "\0", "1.5"])
@pytest.mark.parametrize("table", ["catalog/product", "accounts/authtoken"])
def test_what_is_no_key_selects_nothing(table: str, key: str, admin_client: Client) -> None:
    make_product()
    body = {"action": "delete_selected", "_selected_action": key, "post": "yes"}
    assert admin_client.post(f"/admin/{table}/", body).status_code == 302
    assert Product.objects.exists()


@pytest.mark.slow
def test_a_form_that_names_many_rows_and_has_none_is_shown_again_soon(admin_client: Client) -> None:
    body = {"variants-TOTAL_FORMS": "99999999", "variants-INITIAL_FORMS": "0"}
    page = admin_client.post("/admin/catalog/product/add/", body)
    assert page.status_code == 200
    assert page.content.count(b'-price"') < 1000
    assert b"Please submit at most 100 forms" in page.content


def test_a_search_in_a_list_without_searched_columns_finds_nothing(admin_client: Client) -> None:
    assert admin_client.get("/admin/exports/exportjob/?q=tea").status_code == 200


@pytest.mark.parametrize("key", ["a", "1,2", "", "9" * 30, "%00"])
def test_a_form_for_a_new_row_leaves_out_what_its_address_has_for_a_key(key: str, admin_client: Client) -> None:
    page = admin_client.get(f"/admin/catalog/product/add/?category={key}&brand={key}&title=Lamp")
    assert page.status_code == (400 if "%00" in key else 200)
    assert "%00" in key or b'value="Lamp"' in page.content
