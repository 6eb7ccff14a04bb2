"""Answers that are kept: ours from either layer, beside the same bytes without any cache, and beside others' caches."""

import base64
import http.client
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.contestants import PAGE, Server
from tests.benchmarks.measure import JSON, Target
from tests.benchmarks.watching import SILENT

GZIP = {**JSON, "Accept-Encoding": "gzip"}

# Each kind of answer: its name, and what is sent for it.
KINDS: dict[str, Mapping[str, str]] = {"identity": JSON, "gzip": GZIP, "304": JSON}

# Ours, by server and by what differs in its environment; the first has neither log lines nor metrics.
OURS = {
    "hits": (SILENT, {"CACHE": "on"}),
    "hits, logged": ("tenfold", {"CACHE": "on", "LOG_LEVEL": "INFO"}),
    "Redis hits": (SILENT, {"CACHE": "on", "CACHE_MEMORY_BYTES": "0"}),
}


def read_answers(server: Server) -> dict[str, tuple[str, list[tuple[str, str]], bytes]]:
    """What a warm server answers, each kind of it; `X-Cache: hit` is asked for, or nothing would be compared."""
    answers = {}
    for kind, headers in KINDS.items():
        for _ in range(3):
            status, pairs, body = ask(server, dict(headers))
        if kind == "304":
            status, pairs, body = ask(server, {**headers, "If-None-Match": dict(pairs)["ETag"]})
        assert dict(pairs)["X-Cache"] == "hit", f"{kind}: {dict(pairs)['X-Cache']}"
        answers[kind] = (status, pairs, body)
    return answers


def ask(server: Server, headers: dict[str, str]) -> tuple[str, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", PAGE, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    # The server's own are every server's own.
    pairs = [(name.title() if name != "etag" else "ETag", value) for name, value in answer.getheaders()]
    names = {"Etag": "ETag", "X-Request-Id": "X-Request-ID"}
    kept = [(names.get(name, name), value) for name, value in pairs if name not in ("Date", "Server", "Connection")]
    return f"{answer.status} {answer.reason}", kept, body


def write_answers(server: Server, file: Path) -> str:
    """For the bare one to give; the ETag that they bear."""
    answers = read_answers(server)
    file.write_text(
        json.dumps({kind: (one[0], one[1], base64.b64encode(one[2]).decode()) for kind, one in answers.items()})
    )
    return dict(answers["304"][1])["ETag"]


def list_targets(servers: Mapping[str, Server], etag: str) -> Sequence[Target]:
    """Kept answers, each beside its limit, and beside what others keep."""
    known, coded = {**JSON, "If-None-Match": etag}, ("identity", "gzip")
    hits = [Target(f"{ours}, {kind}", servers[ours], PAGE, KINDS[kind]) for ours in OURS for kind in coded]
    bare = servers["answers"]
    limits = [
        *(Target(f"bare answer, {kind}", bare, f"/plain/{kind}", KINDS[kind]) for kind in KINDS),
        *(Target(f"bare Redis GET, {kind}", bare, f"/redis/{kind}", KINDS[kind]) for kind in coded),
    ]
    others = [
        Target(name, servers[server], path)
        for name, server, path in (
            ("FastAPI, page", "fastapi", "/page"),
            ("FastAPI with a Redis cache", "fastapi", "/cached"),
            ("Django's cache_page on django-redis", "shop", "/cached/"),
        )
        if server in servers
    ]
    return [*hits, Target("hits, 304", servers["hits"], PAGE, known), *limits, *others]
