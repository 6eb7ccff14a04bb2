"""Places for work of one kind, such as the request slots; while none is free, client addresses take turns.

In a single queue, a client with sixteen connections would be sixteen of seventeen waiting requests. Here each address
has its own queue, and a free place goes to the next address. While there are other addresses, an address may hold only
half of the places.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from config.api.access.throttling import find_address
from config.api.problems.errors import Overloaded
from config.process.capacity import WAIT_SECONDS

type Environ = dict[str, Any]


# For this many seconds after a request of another address, an address may hold only half of the places.
COMPANY_SECONDS = 1.0


class Share[Place]:
    """Places, for which at most `waiting` requests wait, at most WAIT_SECONDS.

    If more requests come, the last one of the longest queue is refused.
    """

    def __init__(self, places: Iterable[Place], waiting: int = 0) -> None:
        self.free, self.most_waiting = list(places), waiting
        self.half = max(1, len(self.free) // 2)
        self.lock = Lock()
        self.held: Counter[str] = Counter()
        self.queues: OrderedDict[str, deque[Waiter[Place]]] = OrderedDict()
        self.waiting = 0
        # The address of the last request, and the time when the address last changed. Times are monotonic seconds.
        self.last, self.company_at = "", float("-inf")
        # The time when a request was last refused.
        self.refused_at = float("-inf")

    @contextmanager
    def hold(self, environ: Environ) -> Iterator[Place]:
        """A place within the block. Raises Overloaded if the request gets none."""
        address = find_address(environ)
        place = self.take(address)
        if place is None:
            self.refused_at = time.monotonic()
            raise Overloaded
        try:
            yield place
        finally:
            self.release(address, place)

    def take(self, address: str) -> Place | None:
        """A place, which the caller must give back by `release`. None if no place is free in time."""
        with self.lock:
            if address != self.last:
                self.last, self.company_at = address, time.monotonic()
            if self.free and self.may_have(address):
                self.held[address] += 1
                return self.free.pop()
            waiter = self.line_up(address)
        if waiter is None:
            return None
        place = waiter.wait()
        return self.leave(waiter) if place is None else place

    def release(self, address: str, place: Place) -> None:
        with self.lock:
            self.held[address] -= 1
            if not self.held[address]:
                del self.held[address]
            self.free.append(place)
            self.hand_out()

    def may_have(self, address: str) -> bool:
        """Whether the address may have one more place. If there are no other addresses, it may have all of them."""
        return self.held[address] < self.half or time.monotonic() - self.company_at > COMPANY_SECONDS

    def hand_out(self) -> None:
        """Give free places to waiting requests, one address after the other."""
        while self.free and (address := next(filter(self.may_have, self.queues), None)) is not None:
            self.held[address] += 1
            queue = self.queues.pop(address)
            queue.popleft().answer(self.free.pop())
            self.waiting -= 1
            if queue:
                self.queues[address] = queue  # behind the other addresses

    def line_up(self, address: str) -> Waiter[Place] | None:
        """Put a request into the queue of its address. None if too many wait and no queue is longer."""
        if self.waiting >= self.most_waiting and not self.push_out(len(self.queues.get(address, ())) + 1):
            return None
        waiter = Waiter[Place](address)
        self.queues.setdefault(address, deque()).append(waiter)
        self.waiting += 1
        return waiter

    def push_out(self, length: int) -> bool:
        """Refuse the last one of the longest queue if it is longer than `length`."""
        longest = max(self.queues.values(), key=len, default=deque[Waiter[Place]]())
        if len(longest) <= length:
            return False
        longest.pop().answer(None)
        self.waiting -= 1
        return True

    def leave(self, waiter: Waiter[Place]) -> Place | None:
        """Leave the queue. Returns the place if one came at this very moment, else None."""
        with self.lock:
            queue = self.queues.get(waiter.address)
            if queue is None or waiter not in queue:
                return waiter.take_answer()
            queue.remove(waiter)
            self.waiting -= 1
            if not queue:
                del self.queues[waiter.address]
        return None


class Waiter[Place]:
    """A waiting request. Its answer is a place, or None if it is refused."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: SimpleQueue[Place | None] = SimpleQueue()

    def answer(self, place: Place | None) -> None:
        self.answers.put(place)

    def wait(self) -> Place | None:
        try:
            return self.answers.get(timeout=WAIT_SECONDS)
        except Empty:
            return None

    def take_answer(self) -> Place | None:
        return None if self.answers.empty() else self.answers.get_nowait()
