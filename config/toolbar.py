"""The debug toolbar's panel of statements; loaded with DEBUG=true alone."""

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
    """The toolbar's, told by an observer of every statement.

    Its own way is to replace `connection.cursor`, past which prepared reads go, and connections that a thread was
    lent meanwhile. The name stays, by which the toolbar's forms find it.
    """

    def enable_instrumentation(self) -> None:
        self.watching = observe(self.note)
        self.watching.__enter__()

    def disable_instrumentation(self) -> None:
        self.watching.__exit__(None, None, None)

    def note(self, execute: Wrapper, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not allow_sql.get():
            raise SQLQueryTriggered  # by the panel of templates, as it writes down what they were given
        wrapper = context["cursor"]
        cursor = patch_cursor_wrapper_with_mixin(type(wrapper), NormalCursorMixin)(
            wrapper.cursor, context["connection"], self
        )
        return cursor._record(lambda sql, params: execute(sql, params, many, context), sql, params)
