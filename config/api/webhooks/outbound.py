"""A POST to an address that a user has chosen, and never into our own network.

The name is resolved here, each of its addresses is checked, and the connection goes to an address that was checked: a
name that resolves differently a moment later changes nothing. Redirects aren't followed. The whole attempt has one
deadline, so a receiver that sends a byte now and then holds no thread.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings
from django.utils.http import parse_http_date_safe

# Seconds for one attempt, from the look-up of the name to the last byte that is read.
ATTEMPT_SECONDS = 10.0
# Bytes of an answer that are read.
ANSWER_BYTES = 500
PORTS = {"http": 80, "https": 443}
# Below it, servers of mail, files and the like listen. They would read a message as theirs.
LEAST_PORT = 1024

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 networks whose last bytes are an IPv4 address: NAT64 (RFC 6052, RFC 8215), and the former IPv4-compatible form.
CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
# What stands before an IPv4 address in an interface's identifier of ISATAP (RFC 5214), without the bits that differ.
ISATAP = 0x00005EFE
# Networks that Python (3.13) takes for the internet: Azure's address for a machine's own platform, which gives out
# credentials; the deprecated relays of 6to4; documentation (RFC 9637).
REFUSED = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.88.99.0/24", "3fff::/20")))


class AddressRefused(OSError):
    """The address, or one that its name resolves to, isn't one of the internet."""


@dataclass(frozen=True)
class Answer:
    """What came back. `status` is None if no answer came, and `error` says why."""

    status: int | None
    text: str = ""
    error: str = ""
    milliseconds: int = 0
    retry_after: float = 0.0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


# -- addresses ---------------------------------------------------------------------------------------------------


def check_address(text: str) -> None:
    """Raise AddressRefused for an address that isn't global, in whatever form, unless WEBHOOK_ALLOW_NETWORKS has it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if any(is_refused(each) for each in list_forms(address)):
        raise AddressRefused(f"{text} isn't an address of the internet, and WEBHOOK_ALLOW_NETWORKS doesn't allow it")


def list_forms(address: Address) -> Iterator[Address]:
    """The address and the IPv4 addresses that it carries: a gateway would connect to those."""
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())] if address.version == 6 else []
    if address.version == 6 and (is_isatap(address) or any(address in network for network in CARRIERS)):
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    found = [each for each in carried if each is not None]
    # A mapped address is the IPv4 address itself.
    yield from found if address.version == 6 and address.ipv4_mapped else [address, *found]


def is_isatap(address: ipaddress.IPv6Address) -> bool:
    # Two bits tell whether the IPv4 address is unique in the world, and whether it is a group's.
    return (int(address) >> 32) & 0xFCFFFFFF == ISATAP


def is_refused(address: Address) -> bool:
    if is_allowed(address):
        return False
    is_site_local = getattr(address, "is_site_local", False)
    is_special = address.is_multicast or address.is_reserved or any(address in network for network in REFUSED)
    return not address.is_global or is_special or is_site_local


def is_allowed(address: Address) -> bool:
    return any(address in network for network in list_allowed(tuple(settings.WEBHOOK_ALLOW_NETWORKS)))


@cache
def list_allowed(networks: tuple[str, ...]) -> list[Any]:
    return [ipaddress.ip_network(network) for network in networks]


def check_url(url: str) -> None:
    """Raise ValueError with a sentence if nothing can be sent to this URL. A name isn't resolved here."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("This isn't a URL.") from None
    if parts.scheme not in PORTS or not host:
        raise ValueError("Give an absolute URL that begins with http:// or https://.")
    if parts.username is not None or parts.fragment:
        raise ValueError("Give a URL without user name, password and fragment.")
    if port is not None and port not in PORTS.values() and port < LEAST_PORT:
        raise ValueError(f"Give port 80, port 443, or one from {LEAST_PORT}: the others are those of other services.")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("Write the URL in ASCII, without blanks: a name as xn--…, other letters as %XX.")
    try:
        check_address(host)
    except AddressRefused as error:
        raise ValueError(f"{error}.") from None
    except ValueError:
        pass  # a name


def check_peer(stream: httpcore.NetworkStream) -> None:
    """Close the connection and raise AddressRefused if it leads to this machine, whose firewall doesn't see it.

    A machine may have an address of the internet. A connection to it comes from the same address.
    """
    own, peer = (stream.get_extra_info(name)[0] for name in ("client_addr", "server_addr"))
    if own == peer and not is_allowed(ipaddress.ip_address(peer.partition("%")[0])):
        stream.close()
        raise AddressRefused(f"{peer} is this machine's own address, and WEBHOOK_ALLOW_NETWORKS doesn't allow it")


# -- connections -------------------------------------------------------------------------------------------------

# When the attempt of this thread ends, in seconds of the monotonic clock.
DEADLINE: ContextVar[float] = ContextVar("deadline", default=0.0)


def limit(timeout: float | None) -> float:
    """The seconds that this step may take. Raises ReadTimeout after the deadline."""
    left = DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout(f"no whole answer within {ATTEMPT_SECONDS:g} s")
    return left if timeout is None else min(left, timeout)


class LimitedStream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self.stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, limit(timeout))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return LimitedStream(self.stream.start_tls(ssl_context, server_hostname, limit(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to addresses of the internet only."""

    def __init__(self) -> None:
        self.network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        error: Exception = AddressRefused(f"{host} has no address")
        for address in resolve(host, port):
            check_address(address)
            try:
                stream = self.network.connect_tcp(address, port, limit(timeout), local_address, socket_options)
            except httpcore.NetworkError as refusal:
                error = refusal
            else:
                check_peer(stream)
                return LimitedStream(stream)
        raise error

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise AddressRefused("a socket of this machine isn't an address of the internet")


def resolve(host: str, port: int) -> list[str]:
    """The addresses of the name, each once. Raises ConnectTimeout at the deadline: the resolver's own is far later."""
    answers = SimpleQueue[Any]()
    # Nothing ends a look-up that hangs, so it has a thread to itself. A worker that ends doesn't wait for it.
    threading.Thread(target=look_up, args=(host, port, answers), name="resolve", daemon=True).start()
    try:
        found = answers.get(timeout=limit(None))
    except Empty:
        raise httpcore.ConnectTimeout(f"{host} wasn't resolved within {ATTEMPT_SECONDS:g} s") from None
    if isinstance(found, Exception):
        raise httpcore.ConnectError(f"{host} can't be resolved: {found}") from found
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def look_up(host: str, port: int, answers: SimpleQueue[Any]) -> None:
    """Put the addresses into `answers`, or the error."""
    try:
        answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        answers.put(error)


def open_pool() -> httpcore.ConnectionPool:
    """A pool of connections for one thread; it keeps those that receivers leave open."""
    return httpcore.ConnectionPool(find_certificates(), network_backend=GuardedNetwork(), keepalive_expiry=30)


@cache
def find_certificates() -> ssl.SSLContext:
    """The machine's own. Loaded once: it takes 20 ms."""
    return ssl.create_default_context()


def post(pool: httpcore.ConnectionPool, url: str, headers: dict[str, str], body: bytes) -> Answer:
    """POST the body. Never raises for what a receiver or the network does."""
    began = time.monotonic()
    # A worker's lease is renewed before the attempt, so the attempt must end before the lease does.
    DEADLINE.set(began + min(ATTEMPT_SECONDS, settings.JOB_LEASE_SECONDS * 2 / 3))
    with explain() as found, pool.stream("POST", url, headers=list(headers.items()), content=body) as response:
        text = read_beginning(response)
        found.append(Answer(response.status, text, retry_after=read_retry_after(dict(response.headers))))
    answer = found[0]
    return Answer(
        answer.status, answer.text, answer.error, round((time.monotonic() - began) * 1000), answer.retry_after
    )


@contextmanager
def explain() -> Iterator[list[Answer]]:
    """A list for the answer; an error of the block becomes an answer without a status."""
    found = list[Answer]()
    try:
        yield found
    except httpcore.TimeoutException as error:
        found.append(Answer(None, error=f"no answer in time: {error}".removesuffix(": ")))
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        found.append(Answer(None, error=str(error) or type(error).__name__))


def read_beginning(response: httpcore.Response) -> str:
    """The beginning of the body. A short body is read whole, so that the connection can be used again.

    The status is the answer, also if the body breaks off or never ends: the receiver has the message.
    """
    data = b""
    with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        for piece in response.iter_stream():
            data += piece
            if len(data) >= ANSWER_BYTES:
                break
    return data[:ANSWER_BYTES].decode(errors="replace").replace("\0", "\ufffd")


def read_retry_after(headers: dict[bytes, bytes]) -> float:
    """The seconds of `Retry-After`, which may also be a date; 0 without one, for a time that is past, or nonsense."""
    text = next((value for name, value in headers.items() if name.lower() == b"retry-after"), b"").decode("latin-1")
    if text.isascii() and text.isdigit():
        return float(text)
    moment = parse_http_date_safe(text)
    return 0.0 if moment is None else max(0.0, moment - time.time())
