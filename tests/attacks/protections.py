"""Servers without one of their protections: `python -m tests.attacks.protections NAME` is a server without NAME.

Nothing in the product turns a protection off. Each is taken off here: in the launcher before it forks, or in a web
worker that has just loaded the application.
"""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any


def forget_addresses() -> None:
    """All clients stand in one queue, and one client may have all slots."""
    from config.serving import shares

    shares.find_address = lambda environ: ""


def read_bodies_in_slots() -> None:
    """A request takes its slot first, and waits there for its body."""
    from config.serving.bodies import has_body
    from config.serving.slots import RequestSlots

    def prepare(self: RequestSlots, environ: Any, held: ExitStack) -> Any:
        slot = held.enter_context(self.slots.hold(environ))
        if has_body(environ):
            self.read_body(environ, held)
        return slot

    RequestSlots.prepare = prepare  # type: ignore[method-assign]


def accept_few_connections() -> None:
    """A process takes as many connections as granian does by itself."""
    from config import server

    server.count_connections = lambda: 128


def read_slow_bodies() -> None:
    """A body may take an hour."""
    from config.serving import readings

    readings.BODY_SECONDS = readings.HURRY_SECONDS = 3600


def read_long_bodies() -> None:
    """A body of any length is read, whoever sends it to whatever address."""
    from config.serving import slots
    from config.serving.bodies import BodyRule

    slots.find_rule = lambda environ: BodyRule(2**31)


def search_for_any_time() -> None:
    """A search has any number of words, takes any time, and as many slots as there are."""
    from catalog import filters
    from config.api.database import statements
    from config.serving import slots

    filters.MOST_WORDS = 1000
    statements.find_time_limit = lambda sql: None
    slots.is_search = lambda environ: False


def count_for_any_time() -> None:
    """An exact count takes any time, and as many slots as there are."""
    from config.api.database.time_limits import TimeLimit
    from config.api.problems.errors import CountTooDear
    from config.api.reads import counting
    from config.serving import slots

    counting.GREATEST_COST = 2**62
    counting.EXACT_LIMIT = TimeLimit(3_600_000, CountTooDear)
    slots.is_search = lambda environ: False


@dataclass(frozen=True)
class Protection:
    """What takes it off, in the launcher if it `forks`; the attack that then hurts others."""

    attack: str
    take_off: Callable[[], None]
    forks: bool = False


PROTECTIONS = {
    "turns by address": Protection("pages", forget_addresses),
    "bodies before slots": Protection("bodies of a byte", read_bodies_in_slots),
    "deadlines of bodies": Protection("bodies of a byte", read_slow_bodies),
    "lengths before bodies": Protection("huge forms", read_long_bodies),
    "limits of searches": Protection("searches", search_for_any_time),
    "limits of counts": Protection("counts", count_for_any_time),
    "many connections": Protection("half-sent heads", accept_few_connections, forks=True),
}


def serve_without(protection: Protection) -> None:
    from config import server

    load = server.load_application

    def load_without() -> Any:
        application = load()
        protection.take_off()
        return application

    if protection.forks:
        protection.take_off()
    else:
        server.load_application = load_without
    server.main([])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    serve_without(PROTECTIONS[sys.argv[1]])
