"""Keep-alive clients over real sockets. They note the status and the time of each request."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Walk:
    """What a client has seen. A request without an answer has the status 0."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def walk(port: int, path: str, is_over: Callable[[], bool], pause: float = 0, every: float = 0) -> Walk:
    """Send requests on one connection until `is_over`. If the server closes it, the client opens a new one.

    `pause` is the time between an answer and the next request; `every` is the time between two requests. In seconds.
    """
    seen, client = Walk(), http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not is_over():
        began = time.perf_counter()
        try:
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            seen.statuses[answer.status] += 1
        except OSError as error:
            seen.failures.append(repr(error))
            seen.statuses[0] += 1
            client.close()
        seen.seconds.append(time.perf_counter() - began)
        time.sleep(max(pause, every - (time.perf_counter() - began)))
    client.close()
    return seen


@contextmanager
def clients(number: int, port: int, path: str, pause: float = 0, every: float = 0) -> Iterator[list[Walk]]:
    """Run `number` clients during the block. After it, the list has what each has seen."""
    over, walks = threading.Event(), list[Walk]()
    threads = [
        threading.Thread(target=lambda: walks.append(walk(port, path, over.is_set, pause, every)))
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    try:
        yield walks
    finally:
        over.set()
        for thread in threads:
            thread.join()


def add_up(walks: list[Walk]) -> Walk:
    whole = Walk()
    for each in walks:
        whole.statuses += each.statuses
        whole.seconds += each.seconds
        whole.failures += each.failures
    return whole


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))]
