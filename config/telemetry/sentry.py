"""Errors of the log in, Sentry's events out. Needs the extra `sentry`; only SENTRY_DSN loads this module.

A thread of the SDK sends them; it keeps 100 and drops what is more. None of its integrations is used: they patch
Django and logging, and send requests. SENTRY_ENVIRONMENT and SENTRY_RELEASE are read by the SDK.
"""

import logging
import os
from typing import Any

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.logging import EventHandler

from config.logs import REQUEST_ID
from config.redaction import redact
from config.telemetry.process import FLUSH_SECONDS

HANDLER = EventHandler(level=logging.ERROR)


def begin() -> None:
    """Send the errors of this process from now on."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=os.environ.get("SENTRY_RELEASE") or f"tenfold@{settings.VERSION}",
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        before_send=clean,
        shutdown_timeout=FLUSH_SECONDS,
    )
    # A handler is added once, whatever is called.
    logging.getLogger().addHandler(HANDLER)


def flush() -> None:
    sentry_sdk.flush(timeout=FLUSH_SECONDS)


def clean(event: Any, hint: Any) -> Any:
    """The event without the request and without secrets, and with the request's id."""
    event.get("extra", {}).pop("request", None)
    if request_id := REQUEST_ID.get():
        event.setdefault("tags", {})["request_id"] = request_id
    return hide_secrets(event)


def hide_secrets(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case dict():
            return {name: hide_secrets(each) for name, each in value.items()}
        case list() | tuple():
            return [hide_secrets(each) for each in value]
        case _:
            return value
