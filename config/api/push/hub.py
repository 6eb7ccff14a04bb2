"""Streams in, their events out: one thread of this process reads each new row once, for all its streams.

It looks at the position of the change log that the cache's lease has read anyway (config/api/freshness). Only if that
has moved, it reads the new rows: once for all streams whose callers see the same. A stream that resumes at an older
position is read for in the same way, page by page, until it is where the others are. Nothing is kept for a client that
reads slowly: its position stays, and it is read for again when it has room.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections
from rest_framework.exceptions import APIException

from config.api.access.permissions import Caller
from config.api.database.lending import Loan
from config.api.freshness.leases import FRESHNESS
from config.api.problems.errors import ApiError
from config.api.push.streams import Source, Stream
from config.metrics import Gauges
from config.process.draining import DRAIN

logger = logging.getLogger("tenfold.push")

# Seconds between two looks at the position: half of it is what an event waits on the average.
LOOK_SECONDS = 0.2
# Seconds without a byte after which a stream gets a comment. Proxies cut a silent connection after a minute.
BEAT_SECONDS = 15.0
# The same while somebody waits for a place: a client that has left is noticed when a second comment can't be sent.
PROBE_SECONDS = 2.0
# Seconds after which a caller's token and rights are read again.
CHECK_SECONDS = 10.0
# Seconds that a client with waiting rows may read nothing.
STUCK_SECONDS = 30.0
# Seconds that the thread reads for resuming streams before it looks after the others.
TURN_SECONDS = 0.2


class TooManyStreams(ApiError):
    """This process has as many streams as it may. `Retry-After` says when to try again."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "too_many_streams"
    wait = 5  # seconds, as DRF's exceptions name it

    def __init__(self, most: int) -> None:
        detail = f"{most} streams are open already; this is the limit."
        super().__init__(detail, f"Try again in {self.wait} seconds, or read the feed page by page.")


class Hub:
    """The streams of one source in this process, and the thread that serves them while there are any."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.streams: list[Stream] = []
        self.arrived: SimpleQueue[Stream] = SimpleQueue()
        self.awake = threading.Event()
        self.lock = threading.Lock()
        # Streams that are open or about to be. `is_running` tells of the thread.
        self.count, self.is_running = 0, False
        self.refused_at = -BEAT_SECONDS
        self.failure: type[Exception] | None = None

    # -- for the threads of requests

    def reserve(self, most: int) -> None:
        """Take one of `most` places, for `join` or `release`. Raises TooManyStreams."""
        with self.lock:
            if self.count >= most:
                self.refused_at = time.monotonic()
                raise TooManyStreams(most)
            self.count += 1

    def release(self) -> None:
        with self.lock:
            self.count -= 1

    def join(self, stream: Stream) -> None:
        """Serve a stream that has a place and a channel, until its end."""
        self.arrived.put(stream)
        with self.lock:
            starts, self.is_running = not self.is_running, True
        if starts:
            threading.Thread(target=self.run, name="push", daemon=True).start()
        self.awake.set()

    # -- the thread

    def run(self) -> None:
        loan = Loan()
        while not self.is_done():
            with loan, self.note_failures():
                close_old_connections()
                self.turn()
            self.awake.wait(LOOK_SECONDS)
            self.awake.clear()
        for connection in loan.give_away().values():
            connection.close()

    def is_done(self) -> bool:
        with self.lock:
            self.is_running = self.count > 0
        return not self.is_running

    @contextmanager
    def note_failures(self) -> Iterator[None]:
        """Log a failure once, until a turn succeeds or fails in another way. The streams stay, and wait."""
        try:
            yield
        except Exception as error:
            if type(error) is not self.failure:
                is_away = isinstance(error, DatabaseError | InterfaceError)
                logger.warning("Streams get no events now: %s", error, exc_info=None if is_away else error)
            self.failure = type(error)
        else:
            self.failure = None

    def turn(self) -> None:
        """Everything that is due. Raises DatabaseError if the database is away; then nothing is lost but time."""
        self.welcome()
        if DRAIN.has_begun:
            self.say_goodbye()
        self.look_after()
        self.feed(self.find_newest())
        self.check_callers()

    def welcome(self) -> None:
        while not self.arrived.empty():
            stream = self.arrived.get_nowait()
            self.streams.append(stream)
            stream.open()

    def say_goodbye(self) -> None:
        """End all streams: their clients connect again, to the next process."""
        for stream in self.streams:
            stream.channel.end()

    def look_after(self) -> None:
        """Forget who has left, cut who doesn't read, and write to who has had nothing for long."""
        now = time.monotonic()
        silence = PROBE_SECONDS if now - self.refused_at < BEAT_SECONDS else BEAT_SECONDS
        for stream in self.streams:
            stuck = stream.stuck_at is not None and now - stream.stuck_at > STUCK_SECONDS
            if stuck:
                stream.channel.cut()
            elif now - stream.written_at > silence and stream.channel.is_open and stream.channel.has_room:
                stream.beat()
        gone = [stream for stream in self.streams if not stream.channel.is_open]
        self.streams = [stream for stream in self.streams if stream.channel.is_open]
        for _ in gone:
            self.release()

    def find_newest(self) -> int:
        """The newest position. It asks the database only if the cache's lease is of no help."""
        if not self.streams:
            return 0
        lease = FRESHNESS.read()
        return self.source.read_newest() if lease is None else lease.position

    def feed(self, newest: int) -> None:
        """Read for all streams that are behind, and then for those again that still are."""
        end = time.monotonic() + TURN_SECONDS
        while groups := self.group(newest):
            for (position, _), streams in groups:
                self.feed_group(position, streams)
                if time.monotonic() > end:
                    self.awake.set()
                    return

    def group(self, newest: int) -> list[tuple[tuple[int, Hashable], list[Stream]]]:
        """The streams that are behind, by position and by what their callers see. The newest position comes first.

        The others come in random order, so that none waits for ever.
        """
        groups: dict[tuple[int, Hashable], list[Stream]] = defaultdict(list)
        for stream in self.streams:
            if stream.position < newest and self.may_have_more(stream):
                groups[stream.position, self.source.name_sight(stream.caller)].append(stream)
        found = list(groups.items())
        random.shuffle(found)
        return sorted(found, key=lambda group: group[0][0] < max(groups)[0])

    def may_have_more(self, stream: Stream) -> bool:
        if not stream.channel.is_open:
            return False
        if stream.channel.has_room:
            stream.stuck_at = None
            return True
        stream.stuck_at = stream.stuck_at or time.monotonic()
        return False

    def feed_group(self, position: int, streams: Sequence[Stream]) -> None:
        try:
            page = self.source.read_page(position, streams[0].caller)
        except ApiError as error:
            for stream in streams:
                stream.refuse(error)
            return
        for stream in streams:
            stream.give(page)

    def check_callers(self) -> None:
        """End the streams of callers who may no longer have them. The others go on with the rights of now."""
        now = time.monotonic()
        found: dict[Hashable, Any] = {}
        for stream in self.streams:
            if stream.channel.is_open and now - stream.checked_at > CHECK_SECONDS:
                if stream.credentials not in found:
                    found[stream.credentials] = find_caller(stream)
                use(stream, found[stream.credentials])
                stream.checked_at = now

    def read_gauges(self) -> Gauges:
        return {("push_streams",): float(self.count)}


def find_caller(stream: Stream) -> Caller | APIException:
    try:
        return stream.find_caller()
    except APIException as error:
        return error


def use(stream: Stream, found: Caller | APIException) -> None:
    if isinstance(found, APIException):
        stream.refuse(found)
    else:
        stream.caller = found
