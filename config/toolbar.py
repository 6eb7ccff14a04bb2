"""The debug toolbar's SQL panel. It is loaded only with DEBUG=true."""

from typing import Any

from debug_toolbar.panels.sql import SQLPanel as CursorPanel
from debug_toolbar.panels.sql.tracking import (
    NormalCursorMixin,
    SQLQueryTriggered,
    allow_sql,
    patch_cursor_wrapper_with_mixin,
)

from config.api.database.observers import Wrapper, observe


class SQLPanel(CursorPanel):
    """The toolbar's panel, fed by an observer of all statements.

    The original replaces `connection.cursor`, so it misses prepared reads and lent connections. The class must have the
    original's name, since the toolbar's forms find the panel by it.
    """

    def enable_instrumentation(self) -> None:
        self.watching = observe(self.note)
        self.watching.__enter__()

    def disable_instrumentation(self) -> None:
        self.watching.__exit__(None, None, None)

    def note(self, execute: Wrapper, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not allow_sql.get():
            raise SQLQueryTriggered  # the templates panel is formatting a lazy queryset, which must not run
        wrapper = context["cursor"]
        cursor = patch_cursor_wrapper_with_mixin(type(wrapper), NormalCursorMixin)(
            wrapper.cursor, context["connection"], self
        )
        return cursor._record(lambda sql, params: execute(sql, params, many, context), sql, params)
