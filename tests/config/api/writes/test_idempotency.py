"""`Idempotency-Key`: a POST that is sent again has one effect and one answer, on every route that takes one."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, connections, transaction
from django.urls import path
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.response import Response
from rest_framework.serializers import CharField, Serializer
from rest_framework.test import APIClient

from accounts.models import Address, User
from catalog.models import Product, Stock
from config.api.database.advisory_locks import take_if_free
from config.api.models import PURGED_AT_ONCE, IdempotencyKey
from config.api.viewsets import ShapedViewSet
from config.api.writes import idempotency
from config.api.writes.idempotency import GREATEST_KEY, REPLAYED
from tests.config.api.schema.test_documents import list_routes
from tests.factories import make_product

URL = "/api/v1/products/"
TEA = {"sku": "TEA-1", "title": "Green Tea", "price": "4.50"}

pytestmark = pytest.mark.django_db


def post(client: APIClient, key: str, body: Any = TEA, url: str = URL, **headers: str) -> Any:
    return client.post(url, body, HTTP_IDEMPOTENCY_KEY=key, **headers)


# -- one caller, one after the other -----------------------------------------------------------------------------


def test_a_repetition_gets_the_first_answer_and_changes_nothing(staff: APIClient) -> None:
    first = post(staff, "k-1")
    Product.objects.update(title="Renamed since")
    second = post(staff, "k-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert second.content == first.content
    for name in ("Location", "ETag", "Cache-Control", "Content-Type"):
        assert second[name] == first[name]
    assert Product.objects.count() == 1


def test_the_answer_with_a_key_is_the_same_as_without(staff: APIClient) -> None:
    with_key = post(staff, "k-1").json()
    Product.objects.all().delete()
    without = staff.post(URL, TEA).json()
    volatile = {"id", "images_url", "variants_url", "url", "created_at", "updated_at", "variants", "images"}
    assert {name: with_key[name] for name in with_key.keys() - volatile} == {
        name: without[name] for name in without.keys() - volatile
    }
    assert list(with_key) == list(without)


def test_another_key_is_another_request(staff: APIClient) -> None:
    assert post(staff, "k-1").status_code == 201
    assert post(staff, "k-2", TEA | {"sku": "TEA-2"}).status_code == 201
    assert Product.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "url", "difference"),
    [
        (TEA | {"title": "Black Tea"}, URL, "with another body"),
        (TEA, f"{URL}?fields=id", f"at another address, {URL}"),
    ],
)
def test_a_key_with_another_request_is_422(staff: APIClient, body: Any, url: str, difference: str) -> None:
    post(staff, "k-1")
    answer = post(staff, "k-1", body, url)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "idempotency_key_reused"
    assert answer.json()["detail"] == f"This Idempotency-Key was used {difference}."
    assert Product.objects.get().title == "Green Tea"


def test_a_key_belongs_to_its_caller(staff: APIClient, db: None) -> None:
    post(staff, "k-1")
    other = APIClient()
    other.force_authenticate(User.objects.create_superuser("other@example.com", "other"))
    answer = post(other, "k-1", TEA | {"sku": "TEA-2"})
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer


def test_a_caller_who_lost_the_permission_gets_no_stored_answer(db: None) -> None:
    user = User.objects.create_user("mia@example.com", "mia")
    user.user_permissions.add(Permission.objects.get(codename="add_product"))
    client = APIClient()
    client.force_authenticate(user)
    assert post(client, "k-1").status_code == 201
    user.user_permissions.clear()
    client.force_authenticate(User.objects.get(pk=user.pk))
    assert post(client, "k-1").status_code == 403


def test_a_refusal_is_not_kept(staff: APIClient) -> None:
    assert post(staff, "k-1", TEA | {"price": "cheap"}).status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert post(staff, "k-1").status_code == 201


def test_a_refusal_after_the_first_write_leaves_nothing(staff: APIClient) -> None:
    post(staff, "k-1")
    answer = post(staff, "k-2", TEA | {"sku": "TEA-2", "variants": [{"sku": "TEA-1", "price": "1"}]})
    assert answer.status_code == 409
    assert Product.objects.count() == 1
    assert not IdempotencyKey.objects.filter(key="k-2").exists()


def test_a_key_is_free_again_after_a_day(staff: APIClient) -> None:
    post(staff, "k-1")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=59))
    assert post(staff, "k-1")["Idempotency-Replayed"] == "true"
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, minutes=1))
    assert post(staff, "k-1", TEA | {"sku": "TEA-2"}).status_code == 201
    assert Product.objects.count() == 2


@pytest.mark.parametrize("key", ["", " ", "x" * (GREATEST_KEY + 1), "a\tb", "a\x7fb", "clé"])
def test_a_malformed_key_is_refused(staff: APIClient, key: str) -> None:
    answer = post(staff, key)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_header"
    assert answer.json()["detail"] == "Idempotency-Key: It must have 1 to 255 printable ASCII characters."
    assert not Product.objects.exists()


@pytest.mark.parametrize("key", ["0", "x" * GREATEST_KEY, '"8e03978e-40d5"', "order 7 of May"])
def test_any_printable_key_is_taken(staff: APIClient, key: str) -> None:
    assert post(staff, key).status_code == 201
    assert post(staff, key)["Idempotency-Replayed"] == "true"


def test_a_page_for_people_is_replayed_as_a_page(staff: APIClient) -> None:
    post(staff, "k-1")
    page = post(staff, "k-1", HTTP_ACCEPT="text/html")
    assert page["Content-Type"].startswith("text/html")
    assert b"Green Tea" in page.content


def test_a_form_under_a_session_is_415(admin_user: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(admin_user)
    client.get("/api/v1/", HTTP_ACCEPT="text/html")
    token = client.get("/admin/").cookies["csrftoken"].value
    body = f'--x\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{token}\r\n--x--\r\n'
    answer = client.generic("POST", URL, body, "multipart/form-data; boundary=x", HTTP_IDEMPOTENCY_KEY="k-1")
    assert answer.status_code == 415


def test_other_methods_need_no_key(staff: APIClient) -> None:
    address = post(staff, "k-1")["Location"]
    assert staff.patch(address, {"title": "A"}, HTTP_IDEMPOTENCY_KEY="k-1").status_code == 200
    assert staff.get(address, HTTP_IDEMPOTENCY_KEY="").status_code == 200


def test_a_repetition_costs_its_look_up(staff: APIClient, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    post(staff, "k-1")
    # the savepoint or transaction, the lock, the stored answer, the end, and the version for X-Data-Version
    with django_assert_num_queries(5 if connection.vendor == "postgresql" else 4):
        post(staff, "k-1")


@pytest.mark.parametrize(("url", "member"), [("stock", "adjust"), ("prices", "price")])
def test_a_bulk_change_with_a_key_has_one_effect(url: str, member: str, staff: APIClient) -> None:
    make_product(sku="A-1", stock=9)
    body = [{"sku": "A-1", member: -3 if member == "adjust" else "4.00"}]
    sent = [staff.patch(f"/api/v1/{url}/bulk/", body, HTTP_IDEMPOTENCY_KEY="k-1") for _ in range(2)]
    assert sent[0].content == sent[1].content
    assert [REPLAYED in answer for answer in sent] == [False, True]
    assert Stock.objects.get().on_hand == (6 if member == "adjust" else 9)
    other = staff.patch(f"/api/v1/{url}/bulk/", [], HTTP_IDEMPOTENCY_KEY="k-1")
    assert other.json()["code"] == "idempotency_key_reused"


# -- every route -------------------------------------------------------------------------------------------------


def list_posts() -> list[str]:
    """The routes that take a POST, but those under `auth/` and `webhooks/`, whose answers hold secrets."""
    posts = {url for url, method in list_routes() if method == "post"}
    return sorted(url for url in posts if not url.startswith(("/api/v1/auth/", "/api/v1/webhooks/")))


@pytest.mark.parametrize("route", list_posts())
def test_every_post_heeds_the_header(route: str, staff: APIClient, admin_user: User) -> None:
    url = re.sub(r"{\w+}", "1", route.replace("{product}", str(make_product().pk)))
    IdempotencyKey.objects.create(
        user=admin_user, key="k-1", address="/elsewhere/", body_hash=b"", status=201, headers={}, body=b"{}"
    )
    # A file is the body itself, and takes no JSON.
    kind = "text/csv" if url.endswith("/imports/") else "application/json"
    answer, nameless = (staff.generic("POST", url, "{}", kind, HTTP_IDEMPOTENCY_KEY=key) for key in ("k-1", ""))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert nameless.json()["code"] == "invalid_header"


def test_the_posts_of_the_api_are_found() -> None:
    assert URL in list_posts()


# -- many at once ------------------------------------------------------------------------------------------------


class NoteWrite(Serializer[Address]):
    """Nothing in it is unique: a second effect shows as a second row."""

    name = CharField()


class Notes(ShapedViewSet):
    """A view of this test: one row a POST."""

    queryset = Address.objects.all()
    permission_classes = ()

    def create(self, request: Any) -> Response:
        row = Address.objects.create(user=request.user, name=request.data["name"], line1="", city="", country="FR")
        return Response({"id": row.pk}, 201)


urlpatterns = [path("notes/", Notes.as_view({"post": "create"}))]
handler500 = "config.api.problems.error_handler.answer_server_error"


@pytest.fixture
def notes(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def post_together(lists: list[list[str]], user: User) -> list[Any]:
    """One thread a list of keys, all let go at the same moment, each with its own connection."""
    start = Barrier(len(lists), timeout=30)

    def send(keys: list[str]) -> list[Any]:
        client = APIClient()
        client.force_authenticate(user)
        start.wait()
        try:
            return [post(client, key, {"name": "one"}, "/notes/") for key in keys]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(lists)) as pool:
        return [answer for answers in pool.map(send, lists) for answer in answers]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_32_at_once_with_one_key_have_one_effect(notes: None, admin_user: User) -> None:
    answers = post_together([["k-1"]] * 32, admin_user)
    assert Address.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    done = [answer for answer in answers if answer.status_code == 201]
    assert {answer.content for answer in done} == {b'{"id":%d}' % Address.objects.get().pk}
    assert sum("Idempotency-Replayed" not in answer for answer in done) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert (answer.json()["code"], answer["Retry-After"]) == ("idempotency_key_in_use", "1")
    assert post_together([["k-1"]], admin_user)[0]["Idempotency-Replayed"] == "true"


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_so_many_keys_have_so_many_effects(notes: None, admin_user: User) -> None:
    lists = [[f"k-{thread}-{number}" for number in range(25)] for thread in range(8)]
    answers = post_together(lists, admin_user)
    assert [answer.status_code for answer in answers] == [201] * 200
    assert Address.objects.count() == IdempotencyKey.objects.count() == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time, and waits")
def test_while_one_is_at_work_the_other_is_told_to_wait(notes: None, admin_user: User) -> None:
    attempt = idempotency.Attempt(admin_user.pk, "k-1", "/notes/", b"")
    with transaction.atomic():
        assert take_if_free(attempt.lock)
        answer = post_together([["k-1"]], admin_user)[0]
        assert (answer.status_code, answer["Retry-After"]) == (409, "1")
        assert answer.json()["code"] == "idempotency_key_in_use"
        assert post_together([["k-2"]], admin_user)[0].status_code == 201


# -- kept for a day ----------------------------------------------------------------------------------------------


def fill_keys(user: User, count: int, hours: int) -> None:
    at = timezone.now() - timedelta(hours=hours)
    IdempotencyKey.objects.bulk_create(
        IdempotencyKey(user=user, key=f"{hours}-{n}", address="/", body_hash=b"", status=201, body=b"", created_at=at)
        for n in range(count)
    )


def test_expired_keys_are_deleted_in_batches(
    admin_user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    fill_keys(admin_user, PURGED_AT_ONCE + 1, hours=25)
    fill_keys(admin_user, 3, hours=23)
    assert IdempotencyKey.objects.purge_some() == PURGED_AT_ONCE
    assert IdempotencyKey.objects.purge_some() == 1
    with django_assert_num_queries(1):  # no write, so no lock, where nothing is over
        assert IdempotencyKey.objects.purge_some() == 0
    assert IdempotencyKey.objects.count() == 3


def test_keys_are_deleted_with_their_user(admin_user: User) -> None:
    fill_keys(admin_user, 2, hours=1)
    admin_user.delete()
    assert not IdempotencyKey.objects.exists()
