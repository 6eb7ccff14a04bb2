"""One HTTP request with a message in, the protocol server's answer out. Loaded by name.

The package's server is an ASGI application. Without sessions, each message stands for itself: it gets an event loop for
as long as it takes (2.5 ms of CPU with a tool that does nothing). Tools run in the calling thread, since asgiref brings
them back there, so they use the request's own database connections.
"""

from typing import Any, NamedTuple

from asgiref.sync import async_to_sync
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from config.mcp.asking import Environ
from config.mcp.server import CALLER, SERVER


class Answer(NamedTuple):
    """Status, content type and body."""

    status: int
    content_type: str
    body: bytes


def answer(environ: Environ, body: bytes) -> Answer:
    """The answer to a POST with one message."""
    token = CALLER.set(environ)
    try:
        return async_to_sync(exchange)(build_scope(environ), body)
    finally:
        CALLER.reset(token)


async def exchange(scope: dict[str, Any], body: bytes) -> Answer:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    manager = StreamableHTTPSessionManager(SERVER, json_response=True, stateless=True)
    async with manager.run():
        await manager.handle_request(scope, receive, send)
    headers = dict(sent[0]["headers"])
    content_type = headers.get(b"content-type", b"application/json").decode()
    return Answer(int(sent[0]["status"]), content_type, b"".join(each.get("body", b"") for each in sent[1:]))


def build_scope(environ: Environ) -> dict[str, Any]:
    """The ASGI scope of the request."""
    headers = [
        (name.removeprefix("HTTP_").lower().replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in environ.items()
        if name in ("CONTENT_TYPE", "HTTP_ACCEPT") or name.startswith("HTTP_MCP_")
    ]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": environ["wsgi.url_scheme"],
        "path": environ["PATH_INFO"],
        "raw_path": environ["PATH_INFO"].encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "client": None,
    }
