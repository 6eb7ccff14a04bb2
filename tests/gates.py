"""Calls a WSGI application as a server does. Also a Django handler that counts the requests that reach it."""

import gzip
import json
import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import brotli
import zstandard
from django.contrib.auth.models import Permission
from django.db import connections

from accounts.models import User
from accounts.tokens import sign_in
from config.wsgi import Handler

# Status, headers and body.
type Answer = tuple[int, dict[str, str], bytes]
type Ask = Callable[..., Answer]

# Headers of callers; a gate answers some of them itself, and others not.
CALLERS: list[dict[str, str]] = [
    {},
    {"HTTP_ACCEPT": "text/html"},
    {"HTTP_ACCEPT_ENCODING": "gzip"},
    {"HTTP_ACCEPT_ENCODING": "gzip, deflate, br"},
    {"HTTP_IF_NONE_MATCH": "*"},
    {"HTTP_AUTHORIZATION": "Token nonsense"},
    {"HTTP_HOST": "elsewhere.example"},
    {"HTTP_HOST": "testserver:8000"},
]

# Decompresses a body by its Content-Encoding. decompressobj, since a streamed zstd frame doesn't have its length.
UNPACK: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


class Django(Handler):
    """Counts requests. A test can set `hold`, which runs after the view and before the answer is returned."""

    asked = 0
    hold: Callable[[], None] = staticmethod(lambda: None)

    def __call__(self, *args: Any) -> Any:
        self.asked += 1
        response = super().__call__(*args)
        self.hold()
        return response


def send(application: Any, address: str, method: str = "GET", **environ: Any) -> Answer:
    path_info, _, query = address.partition("?")
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path_info, "QUERY_STRING": query, "SERVER_NAME": "testserver",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "testserver", "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http", "wsgi.input": BytesIO(), "wsgi.errors": BytesIO(), **environ,
    }  # fmt: skip
    # None removes a header.
    environ = {name: value for name, value in environ.items() if value is not None}
    started: list[Any] = []
    chunks = application(environ, lambda *line: started.append(line))
    body = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    [(status, pairs, *_)] = started
    assert len({name.lower() for name, _ in pairs}) == len(pairs), "a header twice"
    return int(status[:3]), dict(pairs), body


def warm(ask: Ask, address: str, **headers: str) -> Answer:
    """Send the request twice: the cache remembers the first and keeps the answer of the second."""
    ask(address, **headers)
    return ask(address, **headers)


def names(answer: Answer) -> list[str]:
    return [row["name"] for row in json.loads(answer[2])["results"]]


def make_token(email: str, *rights: str) -> dict[str, str]:
    """The header of a new user with these permissions."""
    user = User.objects.create_user(email, "secret")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return {"HTTP_AUTHORIZATION": f"Token {sign_in(user, 'test')[1]}"}


def run_elsewhere(work: Callable[[], object]) -> None:
    """Run `work` in another thread, so on another connection."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def write_past_django(sql: str) -> None:
    connections["default"].ensure_connection()
    raw: Any = connections["default"].connection
    raw.execute(sql)
    raw.commit()
