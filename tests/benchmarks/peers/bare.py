"""The limit: the very SQL that our server sends, by psycopg, behind a WSGI function and nothing else."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
from psycopg.adapt import Loader

STATEMENT = json.loads(Path(os.environ["BENCH_STATEMENT"]).read_text())
LOCAL = threading.local()


class BytesLoader(Loader):
    def load(self, data: Any) -> bytes:
        return bytes(data)


def connect() -> psycopg.Connection[Any]:
    if not hasattr(LOCAL, "connection"):
        LOCAL.connection = psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True)
        LOCAL.connection.adapters.register_loader("text", BytesLoader)
    return LOCAL.connection


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    rows = connect().execute(STATEMENT["sql"], STATEMENT["parameters"], prepare=True).fetchall()
    texts = [row[STATEMENT["column"]] for row in rows[: STATEMENT["page_size"]]]
    body = b'{"results":[' + b",".join(texts) + b"]}"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
