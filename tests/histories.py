"""Clients that write and read counters on several servers, to find reads that are older than acknowledged writes.

Each writer owns some counters and only increases them. A number counts as acknowledged when the answer to its write has
come. A read notes the acknowledged numbers when it begins; its answer must have the same numbers or greater ones.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import zstandard

from tests.fleets import Served

# A counter of a product: its title, its price in whole units, or the version in its ETag.
type Mark = tuple[str, int]
type Marks = dict[Mark, int]

FIELDS = "fields=id,title,price"
TIMEOUT = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        packed = self.headers.get("Content-Encoding") == "zstd"
        return json.loads(zstandard.decompress(self.body) if packed else self.body)


class Line:
    """One client's connection to one server."""

    def __init__(self, served: Served) -> None:
        self.served, self.kills = served, served.kills
        self.client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer | None:
        """The answer; None if the connection was cut because its worker may have been killed. Other errors raise."""
        try:
            self.client.request(method, path, body, dict(headers))
            answer = self.client.getresponse()
            found = Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self.client.close()
            killed, self.kills = self.served.kills > self.kills, self.served.kills
            if not killed:
                raise
            return None
        if not self.client.sock:
            self.kills = self.served.kills
        return found

    def leave(self) -> None:
        """Close the connection. The next request may reach another worker."""
        self.client.close()
        self.kills = self.served.kills


@contextmanager
def connect(servers: list[Served]) -> Iterator[list[Line]]:
    lines = [Line(served) for served in servers]
    try:
        yield lines
    finally:
        for line in lines:
            line.leave()


@dataclass
class Seen:
    """What readers and writers have seen."""

    reads: int = 0
    writes: int = 0
    states: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    failed: list[str] = field(default_factory=list)
    # Too old reads: the request, the counter, the acknowledged number and the one that was read.
    old: list[tuple[str, Mark, int, int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class History:
    """Readers and writers of `products` (pairs of id and SKU), as several callers."""

    def __init__(
        self, seed: int, servers: list[Served], products: list[tuple[int, str]], staff: str, others: list[str]
    ) -> None:
        self.seed, self.servers, self.products = seed, servers, products
        self.staff, self.callers = bear(staff), [{}, *(bear(token) for token in (staff, *others))]
        self.acknowledged: Marks = {}
        self.over = threading.Event()
        self.pause = 0.0
        self.seen = Seen()

    @contextmanager
    def running(self, readers: int, writers: int, pause: float) -> Iterator[Seen]:
        """Run readers and writers during the block. `pause` is the longest time between two writes of a writer in
        seconds; without it there would be hardly any cache hits.
        """
        self.pause = pause
        work: list[Callable[[Random, Seen], None]] = [self.read_all] * readers
        work += [lambda choice, seen, n=n: self.write_all(choice, seen, n, writers) for n in range(writers)]
        threads = [threading.Thread(target=self.run, args=(task, n)) for n, task in enumerate(work)]
        for thread in threads:
            thread.start()
        try:
            yield self.seen
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def run(self, task: Callable[[Random, Seen], None], number: int) -> None:
        try:
            task(Random(f"{self.seed}-{number}"), self.seen)
        except Exception as error:
            self.seen.failed.append(f"{task}: {error!r}")
            raise

    # -- writers

    def write_all(self, choice: Random, seen: Seen, number: int, writers: int) -> None:
        own = self.products[number::writers]
        count = 100
        with connect(self.servers) as lines:
            while not self.over.is_set():
                count += 1
                product, sku = choice.choice(own)
                write = choice.choice((self.write_title, self.write_price))
                write(choice.choice(lines), seen, product, sku, count)
                time.sleep(choice.random() * self.pause)

    def write_title(self, line: Line, seen: Seen, product: int, sku: str, count: int) -> None:
        answer = self.write(line, seen, f"/api/v1/products/{product}/", {"title": str(count)})
        if answer:
            self.acknowledge(("title", product), count)
            self.acknowledge(("version", product), read_version(answer))

    def write_price(self, line: Line, seen: Seen, product: int, sku: str, count: int) -> None:
        if self.write(line, seen, "/api/v1/prices/bulk/", [{"sku": sku, "price": f"{count}.00"}]):
            self.acknowledge(("price", product), count)

    def write(self, line: Line, seen: Seen, path: str, body: Any) -> Answer | None:
        headers = self.staff | {"Content-Type": "application/json"}
        answer = line.ask("PATCH", path, headers, json.dumps(body).encode())
        if answer is None:
            return note_cut(seen)
        seen.writes += 1
        if answer.status != 200:
            seen.failed.append(f"PATCH {path}: {answer.status} {answer.body[:200]!r}")
            return None
        return answer

    def acknowledge(self, mark: Mark, number: int) -> None:
        self.acknowledged[mark] = number

    # -- readers

    def read_all(self, choice: Random, seen: Seen) -> None:
        known: dict[tuple[str, int], tuple[str, Marks]] = {}
        with connect(self.servers) as lines:
            while not self.over.is_set():
                line = choice.choice(lines)
                if choice.random() < 0.02:
                    line.leave()
                self.read_one(choice, seen, line, known)

    def read_one(self, choice: Random, seen: Seen, line: Line, known: dict[tuple[str, int], tuple[str, Marks]]) -> None:
        path, read = self.choose_question(choice)
        caller = choice.choice((0, 0, *range(len(self.callers))))
        headers = self.callers[caller] | ({"Accept-Encoding": "zstd"} if choice.random() < 0.5 else {})
        method = "HEAD" if choice.random() < 0.1 else "GET"
        etag, before = known.get((path, caller), ("", {}))
        if etag and choice.random() < 0.5:
            headers["If-None-Match"] = etag
        least, began = dict(self.acknowledged), time.perf_counter()
        answer = line.ask(method, path, headers)
        if answer is None:
            return note_cut(seen)
        seen.seconds.append(time.perf_counter() - began)
        seen.reads += 1
        seen.states[answer.headers.get("X-Cache", method)] += 1
        if answer.status not in (200, 304):
            seen.failed.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
            return None
        marks = before if answer.status == 304 else read(answer) if method == "GET" else {}
        if answer.headers.get("ETag") and "/products/" in path and (product := self.find_product(path)):
            marks = marks | {("version", product): read_version(answer)}
        if method == "GET" and answer.headers.get("ETag"):
            known[path, caller] = (answer.headers["ETag"], marks)
        label = f"{method} {path} {answer.status} {answer.headers.get('X-Cache')}"
        old = [(label, mark, least[mark], found) for mark, found in marks.items() if found < least.get(mark, 0)]
        seen.old += old
        return None

    def choose_question(self, choice: Random) -> tuple[str, Callable[[Answer], Marks]]:
        product, sku = choice.choice(self.products)
        kind = choice.random()
        if kind < 0.5:
            return f"/api/v1/products/{product}/?{FIELDS}", lambda answer: read_row(answer.data)
        if kind < 0.7:
            return f"/api/v1/variants/{sku}/?fields=price", lambda answer: read_price(product, answer.data)
        return f"/api/v1/products/?{FIELDS}", lambda answer: read_rows(answer.data["results"])

    @staticmethod
    def find_product(path: str) -> int | None:
        name = path.removeprefix("/api/v1/products/").partition("/")[0]
        return int(name) if name.isdigit() else None


def bear(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def note_cut(seen: Seen) -> None:
    seen.cut += 1


def read_version(answer: Answer) -> int:
    """The version in an ETag such as `W/"7.1f0c"`."""
    return int(answer.headers["ETag"].removeprefix('W/"').partition(".")[0])


def read_price(product: int, row: Any) -> Marks:
    return {("price", product): int(row["price"].partition(".")[0])}


def read_row(row: Any) -> Marks:
    return {("title", row["id"]): int(row["title"])} | read_price(row["id"], row)


def read_rows(rows: list[Any]) -> Marks:
    return {mark: number for row in rows for mark, number in read_row(row).items()}
