"""`webhooks/`: what its owner sees, writes and is refused; the secret is shown once."""

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import issue_token
from catalog.changes.feed import read_cursor
from catalog.changes.log import purge_changes
from config.api.models import IdempotencyKey
from config.api.webhooks import serializers
from config.api.webhooks.models import Status, Webhook, WebhookDelivery
from tests.factories import make_brand, make_category, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhooks/"
BODY = {"url": "https://shop.example/hook", "events": ["product.*", "order.created"]}


@pytest.fixture
def webhook(admin_user: User) -> Webhook:
    webhook: Webhook = Webhook.objects.create(owner=admin_user, url=BODY["url"], events=["brand.*"], position=0)
    return webhook


def find_faults(answer: Any) -> dict[str, str]:
    return {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}


def test_a_new_webhook_begins_now_and_shows_its_secret_once(staff: APIClient) -> None:
    make_brand("Acme")
    answer = staff.post(URL, BODY | {"filters": {"brand": "acme"}}, headers={"Idempotency-Key": "one"})
    made = answer.json()
    assert answer.status_code == 201
    assert made["secret"].startswith("whsec_")
    assert (made["filters"], made["position"], made["status"]) == ({"brand": ["acme"]}, read_cursor(), "active")
    shown = staff.get(made["self_url"])
    assert answer["Location"] == made["self_url"]
    assert shown.json() == {name: value for name, value in made.items() if name != "secret"}
    assert made["secret"].encode() not in staff.get(URL).content
    assert not IdempotencyKey.objects.exists(), "a secret is stored in no answer"
    assert shown["Cache-Control"] == answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("values", "pointer", "words"),
    [
        ({"url": "http://127.0.0.1/"}, "/url", "WEBHOOK_ALLOW_NETWORKS"),
        ({"url": "shop.example"}, "/url", "http:// or https://"),
        ({"events": ["product.update"]}, "/events", "product.updated"),
        ({"events": []}, "/events", "empty"),
        ({"filters": {"brand": "nobody"}}, "/filters/brand", "'nobody' doesn't exist"),
        ({"filters": {"prise": 3}}, "/filters/prise", "no filter"),
        ({"filters": {"status": []}}, "/filters/status", "Give a text"),
        ({"status": "ended"}, "/status", "active, paused"),
        ({"secret": "whsec_mine"}, "/secret", "Unknown member"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], pointer: str, words: str, staff: APIClient) -> None:
    answer = staff.post(URL, BODY | values)
    assert answer.status_code == 400
    assert words in find_faults(answer)[pointer]
    assert not Webhook.objects.exists()


def test_a_change_takes_the_lease_and_active_is_tried_at_once(staff: APIClient, webhook: Webhook) -> None:
    Webhook.objects.update(status=Status.PAUSED, failures=9, next_at=timezone.now() + timedelta(hours=1), error="500")
    answer = staff.patch(f"{URL}{webhook.pk}/", {"status": "active", "events": ["order.*"]})
    assert answer.json()["events"] == ["order.*"]
    webhook.refresh_from_db()
    assert (webhook.status, webhook.failures, webhook.error, webhook.fence) == ("active", 0, "", 1)
    assert webhook.next_at <= timezone.now()
    assert staff.delete(f"{URL}{webhook.pk}/").status_code == 204


def test_another_url_is_tried_at_once(staff: APIClient, webhook: Webhook, admin_client: Client) -> None:
    """The failures were the former one's."""
    other = {"url": "https://other.example/hook"}
    later = {"failures": 9, "failing_since": timezone.now(), "next_at": timezone.now() + timedelta(hours=1)}
    form = {"events": BODY["events"], "deliveries-TOTAL_FORMS": "0", "deliveries-INITIAL_FORMS": "0"}
    for change in (
        lambda: staff.patch(f"{URL}{webhook.pk}/", other),
        lambda: admin_client.post(f"/admin/api/webhook/{webhook.pk}/change/", form | other),
    ):
        Webhook.objects.update(url=webhook.url, **later)
        staff.patch(f"{URL}{webhook.pk}/", {"description": "Of the shop"})
        assert Webhook.objects.get().failures == 9
        change()
        changed = Webhook.objects.get()
        assert (changed.url, changed.failures, changed.failing_since) == (other["url"], 0, None)
        assert changed.next_at <= timezone.now()


def test_an_ended_one_sent_back_whole_stays_ended(staff: APIClient, webhook: Webhook) -> None:
    Webhook.objects.update(status=Status.ENDED, error="It answered 410.", failures=1)
    read = staff.get(url := f"{URL}{webhook.pk}/").json()
    answer = staff.patch(url, read)
    assert (answer.status_code, answer.json()) == (200, read)
    assert Webhook.objects.get().fence == webhook.fence, "nobody loses the lease, for nothing is changed"
    assert staff.patch(url, {"status": "active"}).json()["status"] == "active"
    assert find_faults(staff.patch(url, {"status": "ended"})) == {"/status": "'ended' is not one of active, paused."}


def test_a_rotation_shows_the_new_secret_and_keeps_the_former_one(staff: APIClient, webhook: Webhook) -> None:
    answer = staff.post(f"{URL}{webhook.pk}/rotate/").json()
    former = webhook.secret
    webhook.refresh_from_db()
    assert webhook.secrets == [answer["secret"], former]
    assert len(set(webhook.secrets)) == 2


def test_a_replay_goes_where_it_is_told(staff: APIClient, webhook: Webhook) -> None:
    make_brand()
    first = read_cursor()
    moment = timezone.now().isoformat()
    time.sleep(0.002)  # SQLite's times have milliseconds
    make_brand()
    url = f"{URL}{webhook.pk}/replay/"
    assert staff.post(url, {"after": first}).json()["position"] == first
    assert staff.post(url, {"since": moment}).json()["position"] == first
    answer = staff.post(url, {"after": read_cursor() + 1})
    assert (answer.status_code, answer.json()["code"]) == (410, "changes_gone")
    for body in ({}, {"after": 1, "since": moment}):
        assert staff.post(url, body).status_code == 400
    purge_changes(timezone.now() + timedelta(days=1))
    assert staff.post(url, {"after": 0}).status_code == 410


def test_staff_choose_not_where_others_messages_go(webhook: Webhook) -> None:
    """They have what their owner may see."""
    keeper = make_user(is_staff=True)
    keeper.user_permissions.set(Permission.objects.filter(content_type__model="webhook"))
    browser = Client()
    browser.force_login(keeper)
    path = f"/admin/api/webhook/{webhook.pk}/change/"
    form = {"events": BODY["events"], "deliveries-TOTAL_FORMS": "0", "deliveries-INITIAL_FORMS": "0"}
    assert browser.get(path).status_code == 200
    assert browser.post(path, form | {"url": "https://mine.example/"}).status_code == 403
    Webhook.objects.update(owner=keeper)
    assert browser.post(path, form | {"url": "https://mine.example/"}).status_code == 302


def test_a_test_is_sent_soon_and_its_delivery_is_shown(staff: APIClient, webhook: Webhook) -> None:
    assert staff.post(f"{URL}{webhook.pk}/test/").status_code == 202
    webhook.refresh_from_db()
    assert webhook.is_test_due
    WebhookDelivery.objects.create(webhook=webhook, message="test_1", type="webhook.test", status=200, answer="<b>ok")
    [row] = staff.get(f"{URL}{webhook.pk}/deliveries/").json()["results"]
    assert (row["message"], row["attempt"], row["status"], row["answer"]) == ("test_1", 1, 200, "<b>ok")


def test_the_number_of_webhooks_has_a_limit(
    staff: APIClient, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serializers, "MOST_WEBHOOKS", 1)
    answer = staff.post(URL, BODY)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


@pytest.mark.parametrize(
    ("events", "scopes", "missing"),
    [
        (["product.*"], ["webhooks"], "changes:read"),
        (["product.*", "order.*"], ["webhooks", "changes:read"], "orders:read"),
        (["import.ready"], ["webhooks", "changes:read"], "imports"),
        (["order.*"], ["webhooks", "orders:read"], None),
    ],
)
def test_a_token_is_told_no_more_than_it_may_read(
    events: list[str], scopes: list[str], missing: str | None, admin_user: User
) -> None:
    _, secret = issue_token(admin_user, "shop", timezone.now() + timedelta(days=1), scopes=scopes)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    answer = client.post(URL, BODY | {"events": events})
    if missing is None:
        assert answer.status_code == 201
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        assert missing in answer.json()["detail"]


def test_a_user_is_told_no_more_than_they_may_see() -> None:
    client = APIClient()
    client.force_authenticate(make_user("Export partner"))
    answer = client.post(URL, BODY | {"events": ["import.*"]})
    assert answer.status_code == 403
    assert "catalog.import_product" in answer.json()["detail"]


@pytest.mark.slow
def test_staff_add_pause_and_test_webhooks_in_the_admin(admin_user: User) -> None:
    client = Client()
    client.force_login(admin_user)
    empty = {"deliveries-TOTAL_FORMS": "0", "deliveries-INITIAL_FORMS": "0"}
    page = "/admin/api/webhook/"
    wrong = {"url": "http://10.0.0.1/", "events": ["x"], "filter_status": ["x"], "filter_brand": ["x"]}
    refused = client.post(f"{page}add/", empty | wrong).content.decode()
    for words in ("WEBHOOK_ALLOW_NETWORKS", "x is not one of the available choices", "“x” is not a valid value"):
        assert words in refused
    brand, category = make_brand("Acme"), make_category("Tea")
    chosen = {"filter_brand": [brand.pk], "filter_category": [category.pk], "filter_status": ["active"]}
    form = empty | chosen | {"url": BODY["url"], "events": ["brand.*", "product.updated"]}
    answer = client.post(f"{page}add/", form, follow=True)
    webhook = Webhook.objects.get()
    assert (webhook.owner, webhook.position) == (admin_user, read_cursor())
    assert webhook.events == ["brand.*", "product.updated"]
    assert webhook.filters == {"brand": ["acme"], "category": ["tea"], "status": ["active"]}
    assert webhook.secret in answer.content.decode()
    shown = client.get(f"{page}{webhook.pk}/change/").content.decode()
    assert webhook.secret not in shown
    assert len(re.findall(r"<option [^>]*selected[^>]*>\s*(?:Acme|Tea)", shown)) == 2
    assert re.search(r'value="product.updated"[^>]*checked', shown)
    client.post(f"{page}{webhook.pk}/change/", form | {"filter_brand": [], "filter_category": []})
    webhook.refresh_from_db()
    assert webhook.filters == {"status": ["active"]}
    selected = {"_selected_action": [webhook.pk]}
    for action in ("pause", "test"):
        client.post(page, selected | {"action": action})
    webhook.refresh_from_db()
    assert (webhook.status, webhook.is_test_due) == (Status.PAUSED, True)
    client.post(page, selected | {"action": "resume"})
    webhook.refresh_from_db()
    assert webhook.status == Status.ACTIVE
    assert client.get("/admin/api/webhookdelivery/").status_code == 200
