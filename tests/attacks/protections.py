"""Servers without one of their protections: `python -m tests.attacks.protections NAME` is a server without NAME.

Nothing in the product turns a protection off. Each is taken off here: in the launcher before it forks, or in a web
worker that has just loaded the application.
"""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from tests.attacks import floods
from tests.attacks.harms import Deaf, Dear, Harm, Long, Slow


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


def wait_for_heads() -> None:
    """A head may take an hour."""
    from config import server

    server.HEAD_MS = 3_600_000


def wait_for_bodies() -> None:
    """A body may take an hour."""
    from config.serving import readings

    readings.BODY_SECONDS = readings.HURRY_SECONDS = 3600


def read_any_body() -> None:
    """The server reads a body of any length, from anybody, at any address."""
    from config.serving import bodies, slots

    slots.find_rule = lambda environ: bodies.BodyRule(2**31)


def read_facets_for_any_time() -> None:
    """Facets read rows for any time, and don't draw some of them instead."""
    from catalog.facets import statements

    statements.WAYS = (replace(statements.READING, limit=None),)


def read_whole_rows() -> None:
    """A page reads the rows that it skips with all their members, not by their keys."""
    from config.api.reads import list_plans

    list_plans.cut_slice = lambda shown, rows, start, end: shown[start:end]


def hold_whatever_is_unread() -> None:
    """Answers and streams wait for their clients, however many and however long."""
    from config.serving.unread import UnreadAnswers

    UnreadAnswers.hold = lambda self, body, environ: body  # type: ignore[method-assign]


@dataclass(frozen=True)
class Protection:
    """What takes it off, in the launcher if it `forks`; the attack that then hurts others, or what one request does."""

    harm: str | Harm
    take_off: Callable[[], None]
    forks: bool = False
    settings: dict[str, str] = field(default_factory=dict)


# One process, whose clients come without a proxy: of a kept answer each of them may have a copy.
ALONE = {"WEB_WORKERS": "1", "TRUSTED_PROXIES": "0", "CACHE": "on", "RATE_LIMIT_ANON": "off"}
FILE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
HUGE_FORM = floods.begin_form("/admin/login/", 1_200_000_000, b"--x")(0)
# Each is missed with 60,000 products. Limits of searches and counts aren't reached there, and what a flood of passwords
# or long bodies would take without their own limits is borne by turns.
PROTECTIONS = {
    "turns by address": Protection("pages", forget_addresses),
    "bodies before slots": Protection("bodies of a byte", read_bodies_in_slots),
    "many connections": Protection("half-sent heads", accept_few_connections, forks=True),
    "lengths before bodies": Protection(Long(HUGE_FORM), read_any_body),
    "deadlines of bodies": Protection(Slow(floods.write_post("/api/v1/auth/login/", 50, b"{")), wait_for_bodies),
    "deadlines of heads": Protection(Slow(b"GET / HTTP/1.1\r\nX-Slow: "), wait_for_heads, forks=True),
    "limits of facets": Protection(Dear(floods.ask_facets("&price_max=100000")), read_facets_for_any_time),
    "keys of a page first": Protection(Dear(floods.ask(f"page=50&ordering=title&{floods.EXPAND}")), read_whole_rows),
    "limits of unread answers": Protection(
        Deaf(floods.write_get(f"{floods.PRODUCTS}?page_size=200&{floods.EXPAND}"), 80),
        hold_whatever_is_unread,
        settings=ALONE,
    ),
    "limits of unread files": Protection(Deaf(floods.write_get(FILE), 450), hold_whatever_is_unread, settings=ALONE),
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
