"""A stranger's attack in a process of its own: `python -m tests.attacks.floods NAME PORT` goes on until it is stopped.

Either so many connections ask the dearest that they may, again and again, or so many send half of a request and wait.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import quote_plus

# The address that a proxy would tell of this client; others have others, and rates of their own.
ADDRESS = "1.2.3.4"
# Between an answer and the next question: a flood is of dear requests, at most 800 a second of them.
PAUSE_SECONDS = 0.02
PRODUCTS = "/api/v1/products/"
EXPAND = "expand=brand,category,images,variants.stock"
NUMBERS = count(1)


def write_get(address: str, *headers: str) -> bytes:
    lines = (f"GET {address} HTTP/1.1", "Host: 127.0.0.1", f"X-Forwarded-For: {ADDRESS}", *headers, "", "")
    return "\r\n".join(lines).encode()


def write_post(
    path: str, length: int, body: bytes = b"", content_type: str = "application/json", address: str = ""
) -> bytes:
    head = (
        f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"X-Forwarded-For: {address or ADDRESS}", "Cookie: csrftoken=x",
        f"Content-Type: {content_type}", f"Content-Length: {length}", "", "",
    )  # fmt: skip
    return "\r\n".join(head).encode() + body


@dataclass(frozen=True)
class Flood:
    """So many connections that each ask one of `requests` again and again, as fast as they are answered."""

    requests: tuple[Callable[[], bytes], ...]
    connections: int = 16

    def run(self, port: int) -> None:
        for number in range(self.connections):
            request = self.requests[number % len(self.requests)]
            threading.Thread(target=ask_for_ever, args=(port, request), daemon=True).start()
        threading.Event().wait()


def ask_for_ever(port: int, request: Callable[[], bytes]) -> None:
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            while True:
                client.sendall(request())
                if not read_answer(client):
                    break
                time.sleep(PAUSE_SECONDS)
        time.sleep(PAUSE_SECONDS)


def read_answer(client: socket.socket) -> bool:
    """Whether the connection may be used again."""
    text = b""
    while b"\r\n\r\n" not in text:
        if not (piece := client.recv(65536)):
            return False
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"content-length" not in fields:
        return False  # in chunks: the next request has a connection of its own
    left = int(fields[b"content-length"]) - len(body)
    while left > 0 and (piece := client.recv(65536)):
        left -= len(piece)
    return left <= 0


@dataclass(frozen=True)
class HalfSent:
    """So many connections that send the beginning of a request, and nothing more; who is cut off comes again."""

    # Each makes the bytes of the connection with this number.
    beginnings: tuple[Callable[[int], bytes], ...]
    connections: int = 1900
    clients: dict[int, socket.socket] = field(default_factory=dict)

    def run(self, port: int) -> None:
        while True:
            for number in range(self.connections):
                if number not in self.clients:
                    self.begin(number, port)
            time.sleep(0.5)
            self.drop_ended()

    def begin(self, number: int, port: int) -> None:
        client = socket.socket()
        client.settimeout(2)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(self.beginnings[number % len(self.beginnings)](number))
            client.setblocking(False)
            self.clients[number] = client
        except OSError:
            client.close()

    def drop_ended(self) -> None:
        for number, client in list(self.clients.items()):
            try:
                ended = client.recv(4096) == b""
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                self.clients.pop(number).close()


def ask(query: str, path: str = PRODUCTS, *headers: str) -> Callable[[], bytes]:
    """A request for an answer that nobody keeps: each has another page size."""
    sign = "&" if query else "?"
    query = f"?{query}" if query else ""
    return lambda: write_get(f"{path}{query}{sign}page_size={next(NUMBERS) % 100 + 100}", *headers)


def ask_facets(filters: str) -> Callable[[], bytes]:
    return lambda: write_get(f"{PRODUCTS}facets/?facet_size={next(NUMBERS) % 100 + 100}{filters}")


def begin_form(path: str, length: int, beginning: bytes) -> Callable[[int], bytes]:
    return lambda number: write_post(path, length, beginning, FORM)


def write_unknown(members: int) -> bytes:
    return b'{"a":1' + b"".join(b',"m%d":1' % number for number in range(members)) + b"}"


def write_sign_in(email: str) -> bytes:
    body = b'{"email": "%s", "password": "wrong"}' % email.encode()
    return write_post("/api/v1/auth/login/", len(body), body)


PAGES = ("/livez", "/", "/admin/login/")
UNKNOWN, LONG = write_unknown(860), write_unknown(16_000)
FORM = "multipart/form-data; boundary=x"
LETTERS = quote_plus(" ".join("abcdefghij"))

ATTACKS: dict[str, Flood | HalfSent] = {
    "searches": Flood(
        (
            ask(f"search={LETTERS}&{EXPAND}"),
            ask(f"search={quote_plus(' '.join('abcdefghijklmnopqrstuvwxyz0123456789'))}"),
            ask(f"search={quote_plus(' '.join('0123456789'))}&page=5&{EXPAND}"),
            ask(f"search={LETTERS}&ordering=-created_at&count=exact"),
            ask("search=zzzqqq+xxxyyy"),
            ask("search=a&page=5"),
        )
    ),
    "counts": Flood((ask("count=exact&price_min=0.01"), ask("count=exact&in_stock=true"), ask("count=exact"))),
    "facets": Flood(
        (
            ask_facets(""),
            ask_facets("&price_max=100000&in_stock=true&rating_min=1"),
            ask("facets=brand,category,price,rating,in_stock&created_after=2000-01-01"),
        )
    ),
    "pages": Flood((ask(f"page=50&ordering=title&{EXPAND}"), ask("page=99"), ask(f"ordering=-price&{EXPAND}"))),
    "filters": Flood(
        (
            ask("price_min=9999999&ordering=created_at"),
            ask("in_stock=false&price_max=0.01&created_after=2000-01-01"),
            ask(f"id={','.join(map(str, range(1, 201)))}&{EXPAND}"),
            ask(f"sku={quote_plus(','.join('x' * 100 for _ in range(200)))}"),
        )
    ),
    "versions": Flood((ask("", PRODUCTS, "X-Min-Version: 1"), ask("", PRODUCTS, "X-Min-Version: 999999999999999"))),
    "pages for people": Flood(
        (lambda: write_get("/"), lambda: write_get("/admin/login/"), lambda: write_get("/api/v1/docs/"))
    ),
    "probes": Flood((lambda: write_get("/readyz"), lambda: write_get("/metrics"), lambda: write_get("/livez"))),
    # Whole, and of a length that is refused before it is read.
    "unknown members": Flood((lambda: write_post("/api/v1/auth/login/", len(UNKNOWN), UNKNOWN),)),
    "long bodies": Flood((lambda: write_post("/api/v1/auth/login/", len(LONG), LONG),)),
    # A password is hashed also for an account that doesn't exist.
    "passwords": Flood((lambda: write_sign_in(f"a{next(NUMBERS)}@example.com"),)),
    "half-sent forms": HalfSent(tuple(begin_form(path, 5000, b"--x") for path in PAGES)),
    # From two hundred addresses, so that taking turns helps nobody.
    "bodies of a byte": HalfSent(
        (lambda number: write_post("/api/v1/auth/login/", 50, b"{", address=f"1.3.{number}.1"),), 200
    ),
    "half-sent heads": HalfSent((lambda number: b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",)),
    "huge forms": HalfSent(tuple(begin_form(path, 1_200_000_000, b"x" * 50_000) for path in PAGES), 200),
}


if __name__ == "__main__":
    # An address an attack: each has a rate of its own.
    ADDRESS = f"1.2.3.{list(ATTACKS).index(sys.argv[1])}"
    ATTACKS[sys.argv[1]].run(int(sys.argv[2]))
