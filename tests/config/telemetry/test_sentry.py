"""Errors of the log reach Sentry: with their request's id, without requests, secrets and local variables."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from django.test import RequestFactory
from sentry_sdk.transport import Transport

from config.logs import REQUEST_ID
from config.telemetry import sentry
from tests.config.telemetry.test_start import DSN


@pytest.fixture
def events(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What would be sent."""
    sent: list[Any] = []
    settings.SENTRY_DSN = DSN
    begin = sentry_sdk.init

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.get_event())

    monkeypatch.setattr(sentry_sdk, "init", lambda **options: begin(**options, transport=Kept))
    sentry.begin()
    yield sent
    logging.getLogger().removeHandler(sentry.HANDLER)
    begin(default_integrations=False)


def test_an_error_is_sent_once_and_a_warning_is_not(events: list[Any]) -> None:
    logger, hidden = logging.getLogger("tenfold.errors"), "q4Zr0p" * 4
    token = REQUEST_ID.set("abc-1")
    try:
        logger.warning("Nothing of note")
        raise ValueError(f"Authorization: Token {hidden}")
    except ValueError:
        request = RequestFactory().get("/api/v1/products/", {"sig": hidden})
        logger.exception("It fails", extra={"request": request, "note": f"password={hidden}"})
    finally:
        REQUEST_ID.reset(token)
    [event] = events
    assert event["tags"]["request_id"] == "abc-1"
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert event["release"].startswith("tenfold@")
    assert hidden not in str(event)
    assert "***" in str(event)
    assert "request" not in event["extra"]


def test_nothing_else_of_the_sdk_is_in_place(events: list[Any]) -> None:
    client: Any = sentry_sdk.get_client()
    assert client.integrations == {}
    assert logging.Logger.callHandlers.__module__ == "logging"
