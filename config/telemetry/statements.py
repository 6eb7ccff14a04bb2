"""A span for each statement of a traced request or job, with its text and without its values. otel.py loads it."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from opentelemetry import trace

from config.telemetry.tracer import open_span

# Letters of a statement that a span keeps. A page's SELECT with all its JSON has up to 20,000.
LONGEST = 2048
# Quoted texts and numbers. Most values are parameters, which never come here; Django writes LIMIT into the text.
LITERAL = re.compile(r"""'(?:[^']|'')*'|(?<![\w"$.])\d+(?:\.\d+)?(?![\w"])""")


def watch_connection(sender: Any, connection: Any, **kwargs: Any) -> None:
    """A receiver of `connection_created`."""
    if trace_statement not in connection.execute_wrappers:
        # At the front, for the reason that prepare_connection gives.
        connection.execute_wrappers.insert(0, trace_statement)


def trace_statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """An `execute_wrapper`. A statement outside of spans, such as a heartbeat's, gets none."""
    if not trace.get_current_span().is_recording():
        return execute(sql, params, many, context)
    text = describe(str(sql))
    name = text.partition(" ")[0].upper()[:32] or "SQL"
    about = {"db.system.name": context["connection"].vendor, "db.query.text": text}
    with open_span(name, "client", about):
        return execute(sql, params, many, context)


@lru_cache(maxsize=512)
def describe(sql: str) -> str:
    """The statement with `?` in place of texts and numbers, and `…` for what is past LONGEST letters."""
    text = LITERAL.sub("?", sql).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
