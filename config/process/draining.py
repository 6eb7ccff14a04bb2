"""WSGI in, WSGI out: once this process was told to stop, it is unready, and each answer has `Connection: close`.

Without that, a client with a keep-alive connection would send its next request into a closed one.
"""

import signal
from collections.abc import Callable, Iterable
from typing import Any

type Environ = dict[str, Any]
type StartResponse = Callable[..., Any]

# The launcher sends this signal to its web workers when they must begin to drain.
SIGNAL = signal.SIGUSR1


class Drain:
    """Whether this process drains; once begun, draining doesn't end before the process does."""

    def __init__(self) -> None:
        self.has_begun = False

    def begin(self, *signal_and_frame: object) -> None:
        self.has_begun = True


DRAIN = Drain()


class Draining:
    """Wraps `application` outside everything else, so that cached answers have the header, too."""

    def __init__(self, application: Callable[[Environ, StartResponse], Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not DRAIN.has_begun:
            return self.application(environ, start_response)

        def say_goodbye(status: str, headers: list[tuple[str, str]], *failure: Any) -> Any:
            return start_response(status, [*headers, ("Connection", "close")], *failure)

        return self.application(environ, say_goodbye)
