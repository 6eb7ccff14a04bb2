"""Deliveries: signed, in order, at least once; what a receiver does wrong delays its own webhook alone."""

import time
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from django.core import mail
from django.utils import timezone
from django.utils.http import http_date

from accounts.models import User
from catalog.changes.feed import read_cursor
from catalog.changes.log import purge_changes
from catalog.models import Change, Product
from config.api.database.leases import LeaseLost
from config.api.webhooks import courier
from config.api.webhooks.courier import Turn, find_wait
from config.api.webhooks.models import Status, Webhook, WebhookDelivery
from tests.config.api.webhooks.conftest import MakeWebhook, Receiver, deliver
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db


def test_an_event_is_told_once_signed_and_as_specified(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    brand = make_brand("Acme")
    deliver()
    deliver()
    [message] = receiver.read(webhook.secret)
    change = Change.objects.get(entity="brand", entity_id=brand.pk)
    assert message == {
        "type": "brand.created",
        "timestamp": message["timestamp"],
        "data": {"id": brand.pk, "slug": "acme", "version": 1, "position": change.position, "changed": None},
    }
    assert message["timestamp"][-1] == "Z"
    headers, _ = receiver.received[0]
    assert headers["webhook-id"] == f"evt_{change.position}_brand_created"
    assert headers["content-type"] == "application/json"
    webhook.refresh_from_db()
    assert (webhook.position, webhook.leased_until) == (read_cursor(), None)
    delivery = webhook.deliveries.get()
    assert (delivery.status, delivery.attempt, delivery.message) == (204, 1, headers["webhook-id"])


def test_a_failure_waits_and_then_tells_the_same_message_first(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    brands = [make_brand(), make_brand()]
    receiver.answers = [204, 500, 503]
    deliver()
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.error) == (1, "The answer's status was 500.")
    assert webhook.next_at > timezone.now()
    deliver()
    assert len(receiver.received) == 2, "it waits"
    for _ in range(2):
        Webhook.objects.update(next_at=timezone.now() - timedelta(seconds=1))  # SQLite's now ends in milliseconds
        deliver()
    assert receiver.list_events(webhook) == [("brand.created", brand.pk) for brand in (*brands, brands[1], brands[1])]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 2
    assert list(webhook.deliveries.order_by("pk").values_list("attempt", "status")) == [
        (1, 204), (1, 500), (2, 503), (3, 204),
    ]  # fmt: skip
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.failing_since, webhook.error) == (0, None, "")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("600", 600), ("", 600), ("9" * 400, 3600), (http_date(0), 1), ("-5", 1), ("soon", 1)],
    ids=["seconds", "a date", "years", "the past", "less than nothing", "no time"],
)
def test_a_receiver_says_how_long_to_wait(
    said: str, seconds: int, receiver: Receiver, make_webhook: MakeWebhook
) -> None:
    webhook = make_webhook("brand.*")
    make_brand()
    receiver.answers, receiver.headers = [429], {"Retry-After": said or http_date(time.time() + 600)}
    deliver()
    webhook.refresh_from_db()
    assert (webhook.next_at - timezone.now()).total_seconds() == pytest.approx(seconds, abs=20)


def test_waits_double_up_to_an_hour_and_differ() -> None:
    assert 0.75 <= find_wait(0) <= 1.25
    assert 6 <= find_wait(3) <= 10
    assert 2700 <= find_wait(1000) <= 4500
    assert len({find_wait(5) for _ in range(10)}) > 1


def test_after_three_days_it_is_paused_and_its_owner_is_told(
    receiver: Receiver, make_webhook: MakeWebhook, admin_user: User
) -> None:
    webhook = make_webhook("brand.*", failures=80, failing_since=timezone.now() - timedelta(days=3, minutes=1))
    make_brand()
    receiver.answers = [500]
    deliver()
    webhook.refresh_from_db()
    assert (webhook.status, "three days" in webhook.error) == (Status.PAUSED, True)
    [letter] = mail.outbox
    assert letter.to == [admin_user.email]
    assert webhook.url in letter.body
    deliver()
    assert len(receiver.received) == 1


def test_410_ends_it(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    make_brand()
    receiver.answers = [410]
    deliver()
    webhook.refresh_from_db()
    assert (webhook.status, len(mail.outbox)) == (Status.ENDED, 1)
    Webhook.objects.update(is_test_due=False)
    deliver()
    assert len(receiver.received) == 1


def test_an_owner_who_may_not_follow_changes_any_more_is_told_nothing(
    receiver: Receiver, make_webhook: MakeWebhook
) -> None:
    user = User.objects.create_user("gone@example.com", "secret")
    webhook = make_webhook("brand.*", owner=user)
    make_brand()
    deliver()
    webhook.refresh_from_db()
    assert (webhook.status, receiver.received) == (Status.PAUSED, [])


def test_both_secrets_sign_for_a_day_after_a_rotation(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    former, new = webhook.secret, webhook.rotate()
    make_brand()
    deliver()
    for secret in (former, new):
        assert len(receiver.read(secret)) == 1
    Webhook.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    make_brand()
    deliver()
    receiver.received.pop(0)
    assert len(receiver.read(new)) == 1
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        receiver.read(former)


@pytest.fixture
def unhurried(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, an attempt comes before the next note of the cursor."""
    settings.JOB_LEASE_SECONDS = 600
    monkeypatch.setattr(courier, "NOTE_SECONDS", 60.0)


@pytest.mark.usefixtures("unhurried")
def test_whoever_lost_the_lease_moves_no_cursor(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    make_brand()
    read_cursor()
    held = Webhook.objects.select_related("owner").claim()
    webhook.go_to(webhook.position)
    with pytest.raises(LeaseLost):
        Turn(held).run()
    webhook.refresh_from_db()
    deliver()
    assert len(receiver.received) == 2, "told again rather than not at all"


@pytest.mark.usefixtures("unhurried")
def test_one_that_is_deleted_while_it_is_told_leaves_nothing(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    make_brand()
    read_cursor()
    held = Webhook.objects.select_related("owner").claim()
    webhook.delete()
    with pytest.raises(LeaseLost):
        Turn(held).run()
    assert len(receiver.received) == 1
    assert not WebhookDelivery.objects.exists()


def test_a_test_message_is_sent_while_paused_too(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*", status=Status.PAUSED, is_test_due=True)
    make_brand()
    deliver()
    [message] = receiver.read(webhook.secret)
    assert (message["type"], message["data"]) == ("webhook.test", {"id": webhook.pk})
    webhook.refresh_from_db()
    assert (webhook.is_test_due, webhook.status) == (False, Status.PAUSED)


def test_a_cursor_that_the_log_left_behind_pauses_it(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    for _ in range(2):
        make_brand()
    read_cursor()
    purge_changes(timezone.now() + timedelta(days=1))
    deliver()
    webhook.refresh_from_db()
    assert (webhook.status, "the log begins after" in webhook.error) == (Status.PAUSED, True)


def test_slow_endpoints_leave_half_of_the_threads_to_the_others() -> None:
    begun: list[int] = []
    worker = courier.Courier()
    worker.deliver = begun.append  # type: ignore[method-assign]  # nothing is sent
    for key in range(1, 10):
        worker.begin(Webhook(pk=key, failures=1))
    for key in range(11, 20):
        worker.begin(Webhook(pk=key))
    worker.senders.shutdown()
    assert sorted(begun) == [1, 2, 3, 4, 11, 12, 13, 14]


def test_old_deliveries_are_purged(make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("brand.*")
    for days in (8, 1):
        WebhookDelivery.objects.create(webhook=webhook, message="evt", at=timezone.now() - timedelta(days=days))
    assert WebhookDelivery.objects.purge_some() == 1
    assert webhook.deliveries.count() == 1


def test_a_burst_is_told_as_one_event_of_each_row(receiver: Receiver, make_webhook: MakeWebhook) -> None:
    webhook = make_webhook("product.updated", expand=True)
    product = make_product(sku="TEA", title="Tea")
    for number in range(5):
        Product.objects.update(title=f"Tea {number}")
    deliver()
    [message] = receiver.read(webhook.secret)
    data: dict[str, Any] = message["data"]
    assert (data["sku"], data["row"]["title"], data["row"]["url"]) == (
        "TEA", "Tea 4", f"http://127.0.0.1:8000/api/v1/products/{product.pk}/",
    )  # fmt: skip
    assert data["version"] == data["row"]["version"]
    assert {"title", "variants", "images", "text"} <= set(data["changed"])
