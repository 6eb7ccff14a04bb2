"""The protocol over standard input and output, for an agent that starts the server itself. Loaded by name.

Tools ask the API as the owner of MCP_TOKEN, or as a stranger without it.
"""

import io
from typing import IO, Any
from urllib.parse import urlsplit

import anyio
from django.conf import settings
from django.urls import set_script_prefix
from mcp.server.stdio import stdio_server

from config.mcp.asking import Environ
from config.mcp.server import CALLER, SERVER


def serve(output: IO[Any]) -> None:
    """Answer messages until the input ends. Nothing else may write to `output`."""
    CALLER.set(build_caller())
    set_script_prefix(f"{settings.BASE_PATH}/")
    anyio.run(run, output)


async def run(output: IO[Any]) -> None:
    lines = anyio.wrap_file(io.TextIOWrapper(output.buffer, encoding="utf-8"))  # type: ignore[attr-defined]  # stdout has it
    async with stdio_server(stdout=lines) as (read, write):
        await SERVER.run(read, write, SERVER.create_initialization_options())


def build_caller() -> Environ:
    """A request of this machine to PUBLIC_URL, where the addresses in answers lead."""
    public = urlsplit(settings.PUBLIC_URL)
    # Nobody else sends this process a Host.
    settings.ALLOWED_HOSTS.append(str(public.hostname))
    token = {"HTTP_AUTHORIZATION": f"Token {settings.MCP_TOKEN}"} if settings.MCP_TOKEN else {}
    return {
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": settings.BASE_PATH,
        "SERVER_NAME": public.hostname,
        "SERVER_PORT": str(public.port or (443 if public.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": public.scheme,
        "HTTP_HOST": public.netloc,
        "HTTP_X_FORWARDED_PROTO": public.scheme,
        **token,
    }
