"""The limit for kept answers: the bytes and headers that ours were, behind a WSGI function; or a Redis GET of them."""

import base64
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis

ANSWERS = {
    path: (status, [tuple(pair) for pair in headers], base64.b64decode(body))
    for path, (status, headers, body) in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text()).items()
}
REDIS = redis.Redis.from_url(os.environ["BENCH_REDIS"])
for path, (_, _, kept) in ANSWERS.items():
    REDIS.set(f"bare:{path}", kept)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    _, kind, path = environ["PATH_INFO"].split("/", 2)
    status, headers, body = ANSWERS[path]
    if kind == "redis":
        body = REDIS.get(f"bare:{path}")
    start_response(status, headers)
    return [body]
