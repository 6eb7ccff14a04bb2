"""Run in our own environment, beside the server: a page's statement, a cursor to any depth, a session for the admin.

`python -m tests.benchmarks.probe PATH CREATED_AT ID` prints the three as JSON.
"""

import json
import os
import sys
from datetime import datetime
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client, RequestFactory

PAGE_SIZE = 50


def capture_statement(path: str) -> dict[str, Any]:
    """SQL and parameters of the one query that answers `path`, as they are sent, and which column is the row's JSON."""
    sent: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        sent.append((sql, parameters))
        return execute(sql, parameters, many, context)

    client = Client(headers={"host": "127.0.0.1"})
    client.get(path)  # finds out whether rows are stored
    with connection.execute_wrapper(record):
        response = client.get(path)
    assert response.status_code == 200, response.content
    assert len(sent) == 1, [sql for sql, _ in sent]
    sql, parameters = sent[0]
    return {
        "sql": sql,
        "parameters": list(parameters),
        "column": find_json_column(sql, parameters),
        "page_size": PAGE_SIZE,
    }


def find_json_column(sql: str, parameters: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    assert row, "an empty catalogue"
    return next(index for index, value in enumerate(row) if isinstance(value, str) and value.startswith("{"))


def sign_cursor(path: str, created_at: datetime, key: int) -> str:
    """The cursor that goes on behind this row, newest first, in the list at `path`."""
    from rest_framework.request import Request

    from config.api.reads.cursors import CursorPosition, find_list_mark, write_cursor
    from config.api.reads.orderings import Keyset

    keyset = Keyset(("created_at", "id"), descending=True)
    mark = find_list_mark(Request(RequestFactory().get(path)), keyset)
    return write_cursor(CursorPosition((created_at, key)), mark)


def sign_in() -> str:
    """The cookie of somebody new who may do everything."""
    user, client = get_user_model().objects.create_superuser("admin@example.com", "bench"), Client()  # type: ignore[attr-defined]  # ours
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].OutputString(attrs=())


def main(path: str, created_at: str, key: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    cursor = sign_cursor(path, datetime.fromisoformat(created_at), int(key))
    json.dump({"statement": capture_statement(path), "cursor": cursor, "session": sign_in()}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
