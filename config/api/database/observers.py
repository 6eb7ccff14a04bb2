"""Who looks on while statements run: on every connection, also on one that is made, or lent to this thread, meanwhile.

Django's `execute_wrapper` is of one connection, which has to be there already.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

# As Django has them: (execute, sql, params, many, context) in, what `execute(sql, params, many, context)` gives out.
type Wrapper = Callable[..., Any]

OBSERVERS: ContextVar[tuple[Wrapper, ...]] = ContextVar("observers", default=())


@contextmanager
def observe(observer: Wrapper) -> Iterator[None]:
    """`observer` stands around the statements of the block."""
    token = OBSERVERS.set((*OBSERVERS.get(), observer))
    try:
        yield
    finally:
        OBSERVERS.reset(token)


def execute_observed(execute: Callable[..., Any], *args: Any) -> Any:
    """An `execute_wrapper` of every connection."""
    for observer in OBSERVERS.get():
        execute = partial(observer, execute)
    return execute(*args)


def wrap_always(wrapper: Wrapper) -> Callable[..., None]:
    """A receiver of `connection_created`: from its first statement on, `wrapper` is around all of the connection's."""

    def receive(sender: Any, connection: Any, **kwargs: Any) -> None:
        if wrapper not in connection.execute_wrappers:
            # In front: whoever adds one for a while takes the last away, and a connection may be made meanwhile.
            connection.execute_wrappers.insert(0, wrapper)

    return receive
