"""Observers of statements: they see every connection of the thread, also one that is made or lent later.

Django's `execute_wrapper` belongs to one connection, which must exist already.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

# Like Django's wrappers: takes (execute, sql, params, many, context), returns `execute(sql, params, many, context)`.
type Wrapper = Callable[..., Any]

OBSERVERS: ContextVar[tuple[Wrapper, ...]] = ContextVar("observers", default=())


@contextmanager
def observe(observer: Wrapper) -> Iterator[None]:
    """Wrap `observer` around each statement of the block."""
    token = OBSERVERS.set((*OBSERVERS.get(), observer))
    try:
        yield
    finally:
        OBSERVERS.reset(token)


def execute_observed(execute: Callable[..., Any], *args: Any) -> Any:
    """An `execute_wrapper` of every connection: calls the thread's observers."""
    for observer in OBSERVERS.get():
        execute = partial(observer, execute)
    return execute(*args)


def wrap_always(wrapper: Wrapper) -> Callable[..., None]:
    """A receiver of `connection_created` that wraps `wrapper` around every statement of each connection."""

    def receive(sender: Any, connection: Any, **kwargs: Any) -> None:
        if wrapper not in connection.execute_wrappers:
            # At the front: Django removes the last wrapper when a block of `execute_wrapper` ends, and a connection may
            # be made within such a block.
            connection.execute_wrappers.insert(0, wrapper)

    return receive
