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


@dataclass(frozen=True)
class Protection:
    """What takes it off, in the launcher if it `forks`; the attack that then hurts others."""

    attack: str
    take_off: Callable[[], None]
    forks: bool = False


PROTECTIONS = {
    "turns by address": Protection("pages", forget_addresses),
    "bodies before slots": Protection("bodies of a byte", read_bodies_in_slots),
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
