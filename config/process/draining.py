"""WSGI in, WSGI out: once this process has been told to stop, it is unready, and each answer asks its client to leave.

A client with a kept connection would otherwise send its next request into a closed one.
"""

import signal
from collections.abc import Callable, Iterable
from typing import Any

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]

# What the launcher sends its web workers when their last seconds begin.
SIGNAL = signal.SIGUSR1


class Drain:
    """Whether this process drains; it never ends doing so."""

    def __init__(self) -> None:
        self.has_begun = False

    def begin(self, *signal_and_frame: object) -> None:
        self.has_begun = True


DRAIN = Drain()


class Draining:
    """In front of `application`, outermost: cached answers say goodbye as well."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not DRAIN.has_begun:
            return self.application(environ, start_response)

        def say_goodbye(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            return start_response(status, [*headers, ("Connection", "close")], *failure)

        return self.application(environ, say_goodbye)
