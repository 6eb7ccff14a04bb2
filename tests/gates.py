"""A WSGI application, asked as a server asks it; and Django behind a gate, where what reaches it is counted."""

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

# Whom a gate answers itself and whom not, by what they send.
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

# By Content-Encoding; a stream's zstd frame doesn't say how long it is.
UNPACK: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


class Django(Handler):
    """Counts what reaches it, and may be held up between its query and the answer's end."""

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
    # None takes a header away.
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
    """Asked twice: the first is only remembered, the second kept."""
    ask(address, **headers)
    return ask(address, **headers)


def names(answer: Answer) -> list[str]:
    return [row["name"] for row in json.loads(answer[2])["results"]]


def make_token(email: str, *rights: str) -> dict[str, str]:
    """What somebody with these permissions sends."""
    user = User.objects.create_user(email, "secret")
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return {"HTTP_AUTHORIZATION": f"Token {sign_in(user, 'test')[1]}"}


def run_elsewhere(work: Callable[[], object]) -> None:
    """In a thread of its own, with a connection of its own."""

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
