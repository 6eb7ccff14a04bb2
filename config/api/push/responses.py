"""A stream in, a response out. The server holds the stream itself if it can; otherwise a thread sends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import StreamingHttpResponse

from config.api.push.hub import Hub
from config.api.push.streams import Channel, Stream, ThreadChannel
from config.process.capacity import MOST_STREAMS

MEDIA_TYPE = "text/event-stream"
# Our server sets this key in the environ: it takes a `Pushed` as the body, and calls `attach`.
HOLDS_STREAMS = "tenfold.holds_streams"
HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Accel-Buffering": "no",  # otherwise nginx collects events before the client gets one
}


class Pushed:
    """The body. It has a place of the hub from the beginning; the first of `attach`, iterating and `close` uses it."""

    def __init__(self, hub: Hub, stream: Stream) -> None:
        self.hub, self.stream = hub, stream
        self.channel: Channel | None = None

    def attach(self, channel: Channel) -> None:
        self.channel = self.stream.channel = channel
        self.hub.join(self.stream)

    def __iter__(self) -> Iterator[bytes]:
        channel = ThreadChannel()
        # The thread needs none while it waits, and would keep them for hours.
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()
        self.attach(channel)
        yield from channel.read()

    def close(self) -> None:
        """The client has left, or never came for the body."""
        if self.channel is None:
            self.hub.release()
        else:
            self.channel.end()


class EventStream(StreamingHttpResponse):
    """`held` is the body for a server that holds streams; then the response itself has none."""

    held: Pushed | None = None

    def __init__(self, pushed: Pushed, environ: Mapping[str, Any]) -> None:
        is_held = HOLDS_STREAMS in environ
        super().__init__(() if is_held else pushed, content_type=MEDIA_TYPE, headers=HEADERS)
        if is_held:
            self.held = pushed


def count_places(environ: Mapping[str, Any]) -> int:
    """How many streams this process may have: a quarter of the threads where each takes one."""
    return MOST_STREAMS if HOLDS_STREAMS in environ else max(1, settings.WEB_THREADS // 4)
