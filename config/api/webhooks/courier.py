"""Delivers events: a thread of each worker looks which webhooks have something to send, and others send it.

Whoever sends holds the webhook's lease. The cursor moves after the receiver has answered with success, so an event is
told at least once, and the events of a row in their order. A worker that dies repeats what its last second had told.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore
import orjson
from django.conf import settings
from django.core.mail import send_mail
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from config.api.database.leases import STOP, LeaseLost
from config.api.problems.errors import ApiError
from config.api.webhooks.events import EVENTS, Batch, Event
from config.api.webhooks.models import NO_FAILURE, Status, Webhook, WebhookDelivery
from config.api.webhooks.outbound import Answer, open_pool, post
from config.api.webhooks.signing import write_headers
from config.metrics import count
from config.telemetry.spans import TRACING, Attributes, Span

logger = logging.getLogger("tenfold.webhooks")

# Seconds between two looks, and between two if no webhook is active.
LOOK_SECONDS, IDLE_SECONDS = 0.25, 2.0
# The threads that send, and how many of them may be busy with endpoints that are slow or fail.
SENDERS, SLOW_SENDERS = 8, 4
# Held while the threads here use the database: a fork at that moment would copy its connection (config/worker.py).
IN_DATABASE = threading.Lock()
# How long a thread sends to one endpoint before another one's turn comes, in seconds.
TURN_SECONDS = 5.0
# Before an attempt the cursor is written, and the lease renewed, if that was longer ago than this, in seconds.
NOTE_SECONDS = 1.0
# The wait after the first failure, which doubles with each further one, and the longest wait, in seconds.
FIRST_WAIT, LONGEST_WAIT = 1.0, 3600.0
# How long an endpoint may fail until it is paused.
PATIENCE = timedelta(days=3)
USER_AGENT = "Tenfold-Webhooks/1"
TEST = "webhook.test"


class Courier(threading.Thread):
    """`with Courier():` delivers events while the block runs."""

    def __init__(self) -> None:
        super().__init__(name="courier", daemon=True)
        self.done = threading.Event()
        self.senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="webhooks")
        # The webhooks that the threads send for now, and whether each is slow.
        self.busy: dict[int, bool] = {}
        self.failure = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.join()
        self.senders.shutdown(cancel_futures=True)

    def run(self) -> None:
        wait = IDLE_SECONDS
        while not self.done.wait(wait):
            wait = LOOK_SECONDS if self.look() else IDLE_SECONDS
        connection.close()

    def look(self) -> bool:
        """Give the due webhooks to threads. False if none is active, or the database is away."""
        try:
            with use_database():
                due = find_due()
        except Exception as error:
            # Any error: the next look may succeed.
            self.complain(error)
            return False
        self.failure = ""
        for webhook in due or ():
            self.begin(webhook)
        return due is not None

    def complain(self, error: Exception) -> None:
        """Log an error once, until it is gone or another one comes."""
        if self.failure != repr(error):
            logger.warning("Webhooks wait: %s", error, exc_info=not isinstance(error, DatabaseError))
        self.failure = repr(error)

    def begin(self, webhook: Webhook) -> None:
        """Let a thread send for the webhook, if one is free. Slow endpoints leave half of the threads to the others."""
        is_crowded = len(self.busy) >= SENDERS
        is_slow = webhook.is_slow and list(self.busy.values()).count(True) >= SLOW_SENDERS
        if webhook.pk in self.busy or is_crowded or is_slow:
            return
        self.busy[webhook.pk] = webhook.is_slow
        self.senders.submit(self.deliver, webhook.pk)

    def deliver(self, key: int) -> None:
        try:
            with use_database():
                held = Webhook.objects.filter(pk=key).select_related("owner").claim()
            if held is not None:
                Turn(held).run()
        except LeaseLost as error:
            logger.info("%s", error)
        except Exception as error:
            self.complain(error)
        finally:
            del self.busy[key]


@contextmanager
def use_database() -> Iterator[None]:
    with IN_DATABASE:
        # One that the database has closed meanwhile is replaced; in a transaction of the caller it stays.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        yield


def find_due() -> list[Webhook] | None:
    """The webhooks that have something to send, those that wait longest first; None if no webhook is active."""
    if not Webhook.objects.exclude(status=Status.ENDED).exists():
        return None
    newest = EVENTS.log.find_newest()
    return list(Webhook.objects.only_due(newest).only("failures", "milliseconds").order_by("next_at"))


class Turn:
    """Sends what follows the cursor of a held webhook, for at most TURN_SECONDS."""

    def __init__(self, held: Webhook) -> None:
        self.held = held
        self.reached = held.position
        # What is known of failures so far; a success empties it.
        self.failing = {name: getattr(held, name) for name in NO_FAILURE}
        self.deliveries: list[WebhookDelivery] = []
        self.noted_at = time.monotonic()

    def run(self) -> None:
        with open_pool() as pool:
            if self.held.is_test_due:
                self.send_test(pool)
            refusal = self.send_changes(pool) if self.held.status == Status.ACTIVE else None
        if refusal is not None:
            self.wait_or_stop(refusal)
        elif self.held.is_held:
            self.note(self.held.release, claims=0, next_at=Now())

    def send_test(self, pool: httpcore.ConnectionPool) -> None:
        """A message that says nothing. Its failure doesn't count."""
        now = timezone.now()
        message = f"test_{self.held.pk}_{int(now.timestamp())}"
        self.send(pool, message, TEST, None, write_body(TEST, now, {"id": self.held.pk}))
        self.note(self.held.write, is_test_due=False)

    def send_changes(self, pool: httpcore.ConnectionPool) -> Answer | None:
        """Send until nothing is left or the turn ends. The answer that was no success; None if all were."""
        end = time.monotonic() + TURN_SECONDS
        has_more = True
        while has_more:
            if (batch := self.read()) is None:
                return None
            while (event := take(batch.events)) is not None:
                answer = self.send_event(pool, event)
                if not answer.is_success:
                    return answer
                self.reached, self.failing = event.reached, dict(NO_FAILURE)
                if STOP.has_begun or time.monotonic() > end:
                    return None
            self.reached, has_more = batch.reached, batch.has_more
            if has_more:
                # A batch that is told again also has what followed, but only to its own end: a row's last message of
                # the next batch must not come before its message of this one.
                self.note(self.held.write)
        return None

    def read(self) -> Batch | None:
        """What follows the cursor; None if nothing ever will, and then the webhook is paused."""
        self.held.position = self.reached
        try:
            with use_database():
                if may_follow(self.held.owner):
                    return EVENTS.log.read(self.held)
                reason = "Its owner isn't active, or may not follow changes any more."
        except ApiError as error:
            reason = f"{error.detail} {error.hint}".strip()
        self.stop(Status.PAUSED, reason)
        return None

    def send_event(self, pool: httpcore.ConnectionPool, event: Event) -> Answer:
        body = write_body(event.type, event.at, event.data)
        return self.send(pool, event.message, event.type, event.position, body)

    def send(
        self, pool: httpcore.ConnectionPool, message: str, type_: str, position: int | None, body: bytes
    ) -> Answer:
        if time.monotonic() - self.noted_at > min(NOTE_SECONDS, settings.JOB_LEASE_SECONDS / 4):
            self.note(self.held.write)
        headers = {"content-type": "application/json", "user-agent": USER_AGENT}
        signed = write_headers(self.held.secrets, message, int(time.time()), body)
        with TRACING.span("POST webhook", "client", describe_message(self.held, type_)) as span:
            answer = post(pool, self.held.url, headers | signed | span.write_headers(), body)
            note_answer(span, answer)
        self.held.milliseconds = answer.milliseconds
        attempt = 1 if type_ == TEST else self.failing["failures"] + 1
        sent = WebhookDelivery(webhook=self.held, message=message, type=type_, position=position, attempt=attempt)
        self.deliveries.append(describe(sent, answer))
        count("webhook_attempts", str(answer.status or "none"))
        return answer

    def note(self, write: Callable[..., None], **values: Any) -> None:
        """Write the cursor and the deliveries, in one transaction. Raises LeaseLost if another process sends now."""
        with use_database(), transaction.atomic():
            write(**{"position": self.reached, "milliseconds": self.held.milliseconds} | self.failing | values)
            WebhookDelivery.objects.bulk_create(self.deliveries)
        self.deliveries, self.noted_at = [], time.monotonic()

    def wait_or_stop(self, answer: Answer) -> None:
        reason, now = explain(answer), timezone.now()
        since = self.failing["failing_since"] or now
        if answer.status == HTTPStatus.GONE:
            self.stop(Status.ENDED, f"{self.held.url} answered 410 Gone.")
        elif now - since > PATIENCE:
            self.stop(Status.PAUSED, f"Nothing could be delivered for three days. The last attempt: {reason}")
        else:
            failures = self.failing["failures"]
            wait = timedelta(seconds=max(find_wait(failures), min(answer.retry_after, LONGEST_WAIT)))
            values = {"failures": failures + 1, "failing_since": since, "error": reason[:1000]}
            self.note(self.held.release, claims=0, next_at=now + wait, **values)

    def stop(self, status: str, reason: str) -> None:
        """Nothing more is sent until the owner says so."""
        self.note(self.held.release, claims=0, status=status, error=reason)
        logger.warning("webhook", extra={"webhook": self.held.pk, "status": status, "reason": reason})
        tell_owner(self.held, status, reason)


def take(events: Iterator[Event]) -> Event | None:
    with use_database():
        return next(events, None)


def may_follow(owner: Any) -> bool:
    return bool(owner.is_active and owner.has_perm(EVENTS.log.right))


def write_body(type_: str, at: Any, data: Any) -> bytes:
    return orjson.dumps({"type": type_, "timestamp": at, "data": data}, option=orjson.OPT_UTC_Z)


def describe_message(webhook: Webhook, type_: str) -> Attributes:
    """For a span. Without the path of the URL, which may be a secret."""
    host = urlsplit(webhook.url).hostname or ""
    return {
        "http.request.method": "POST",
        "server.address": host,
        "tenfold.webhook": webhook.pk,
        "tenfold.event": type_,
    }


def note_answer(span: Span, answer: Answer) -> None:
    if answer.status is not None:
        span.note({"http.response.status_code": answer.status})
    if not answer.is_success:
        span.fail(str(answer.status or "no answer"))


def describe(sent: WebhookDelivery, answer: Answer) -> WebhookDelivery:
    sent.status, sent.milliseconds = answer.status, answer.milliseconds
    sent.error, sent.answer = answer.error[:300], answer.text[:500]
    return sent


def explain(answer: Answer) -> str:
    if answer.status is None:
        return f"{answer.error}."
    hint = " Redirects aren't followed: give the address that they lead to." if 300 <= answer.status < 400 else ""
    return f"The answer's status was {answer.status}.{hint}"


def find_wait(failures: int) -> float:
    """The seconds until the next attempt, after so many failures before this one; a quarter more or less."""
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 20)) * random.uniform(0.75, 1.25))  # noqa: S311 (no secret)


MAIL = """Your webhook {webhook.pk} to {webhook.url} is {status}.

{reason}

Nothing is lost while the change log has the events. Once the receiver is right again, make the webhook active:
PATCH {{"status": "active"}} to webhooks/{webhook.pk}/. It goes on where it stopped.
"""


def tell_owner(webhook: Webhook, status: str, reason: str) -> None:
    """A mail to the owner. The row has the reason too, so a mail that can't be sent is only logged."""
    owner: Any = webhook.owner
    try:
        body = MAIL.format(webhook=webhook, status=status, reason=reason)
        send_mail(f"Webhook {webhook.pk} is {status}", body, None, [owner.email])
    except OSError as error:
        logger.warning("The owner of %s can't be told: %s", webhook, error)
