"""What webhooks ask of the change log: which events there are, and which of them follow a cursor.

config.api imports no app, so the app that has the log gives it: `set_log(log)`, once, in its ready().
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from config.api.webhooks.models import Webhook


@dataclass(frozen=True)
class EventType:
    """A kind of event. A token needs `scope` to ask for it, and a webhook's owner `right`, "" if none."""

    name: str
    scope: str
    right: str = ""


@dataclass(frozen=True)
class Event:
    """A change of one row, or several that were made one. `reached` is the cursor once it is told."""

    type: str
    at: datetime
    position: int
    reached: int
    data: Mapping[str, Any]

    @property
    def message(self) -> str:
        """The id of the message: the same at each attempt, and for each receiver."""
        return f"evt_{self.position}_{self.type.replace('.', '_')}"


@dataclass(frozen=True)
class Batch:
    """The events after a cursor, read while they are sent. `reached` is the cursor after all of them."""

    events: Iterator[Event]
    reached: int
    has_more: bool


class EventLog(Protocol):
    # The permission that a caller needs to have webhooks.
    right: str

    @property
    def types(self) -> Mapping[str, EventType]: ...

    def find_newest(self) -> int:
        """The newest position."""

    def find_start(self, since: datetime) -> int:
        """The cursor before the changes since then. Raises an ApiError (410) if the log doesn't reach back so far."""

    def check(self, after: int) -> None:
        """Raise an ApiError (410) if the log can't continue after this position."""

    def read_filters(self, filters: Mapping[str, Any]) -> dict[str, list[str]]:
        """The filters as lists. Raises InvalidBody for names or values that don't exist."""

    def make_filter_fields(self) -> Mapping[str, Any]:
        """The filters as fields of a form, by their names. Their values are texts, or rows with a slug."""

    def read(self, webhook: Webhook) -> Batch:
        """What follows the webhook's cursor. Raises as `check`."""


class Events:
    """The log that was set."""

    log: EventLog


EVENTS = Events()


def set_log(log: EventLog) -> None:
    EVENTS.log = log
