"""`python -m tests.attacks [--only NAME …]`: what other clients feel while a stranger attacks, beside a calm moment.

`--without` shows what each protection is good for: its attack on the server, and on one without the protection.

A server with two web workers, on a PostgreSQL and a Redis of its own, is attacked in each of the ways of floods.py.
Other clients ask meanwhile for pages, probes and sign-ins. It ends with 1 if one of them waits too long, or if a
request of theirs gets no answer.
"""

import argparse
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import psycopg

from tests.attacks.floods import ATTACKS
from tests.attacks.harms import Sign
from tests.attacks.protections import PROTECTIONS
from tests.clients import percentile
from tests.launching import PATIENCE, ROOT, build_environment, launch
from tests.services import PostgresServer, RedisServer, free_port

# How many times its calm value the 95th percentile may be; and the least calm value that is told from noise.
MOST_TIMES = 3.0
NOISE_SECONDS = 0.025
# A refusal within this time is an answer.
BOUNDED_SECONDS = 3.0
REFUSALS = {429, 503}
CLIENTS_OF_A_KIND = 2
# Said rather than left out: the test suite turns rates off.
DEFAULT_RATES = {"RATE_LIMIT_ANON": "3000/minute", "RATE_LIMIT_LOGIN": "10/minute"}
NUMBERS = count(1)

# What the others ask, by kind: method, address, body, and the status that they expect.
type Request = tuple[str, str, bytes | None, int]
KINDS: dict[str, Callable[[], Request]] = {
    "page": lambda: ("GET", f"/api/v1/products/?page_size={next(NUMBERS) % 50 + 20}&expand=brand", None, 200),
    "probe": lambda: ("GET", "/livez", None, 200),
    "sign-in": lambda: ("POST", "/api/v1/auth/login/", b'{"email": "mia@example.com"}', 400),
}


@dataclass
class Felt:
    """What clients of one kind have felt: the seconds of good answers and of refusals, and how many requests failed."""

    expected: int
    good: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)
    failed: int = 0

    def note(self, status: int, seconds: float) -> None:
        if status == self.expected:
            self.good.append(seconds)
        elif status in REFUSALS:
            self.refusals.append(seconds)
        else:
            self.failed += 1

    def find(self, share: float) -> float:
        return percentile(self.good, share) if self.good else float("inf")


@dataclass
class Outcome:
    """Of one attack and one kind of client."""

    attack: str
    kind: str
    calm: Felt
    attacked: Felt

    @property
    def times(self) -> float:
        """How many times its calm value the 95th percentile is."""
        return self.attacked.find(0.95) / max(self.calm.find(0.95), NOISE_SECONDS)

    @property
    def is_hurt(self) -> bool:
        slowest = max(self.attacked.refusals, default=0)
        return self.attacked.failed > 0 or self.times > MOST_TIMES or slowest > BOUNDED_SECONDS

    def __str__(self) -> str:
        times = [f"{felt.find(share) * 1000:8.1f}" for felt in (self.calm, self.attacked) for share in (0.5, 0.95)]
        counts = f"{self.times:6.1f} {len(self.attacked.refusals):8} {self.attacked.failed:7}"
        return f"{self.attack:18} {self.kind:8} {' '.join(times)} {counts} {'HURT' if self.is_hurt else 'ok'}"


COLUMNS = ("calm p50", "p95", "now p50", "p95")
HEAD = f"{'attack':18} {'who':8} {' '.join(f'{name:>8}' for name in COLUMNS)} {'times':>6} {'refused':>8} {'failed':>7}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each calm and each attacked moment")
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    help_without = "show that these protections, or all, are missed when they are taken off"
    parser.add_argument("--without", nargs="*", choices=PROTECTIONS, help=help_without)
    options = parser.parse_args(arguments)
    if options.without is not None:
        return show_protections(options.without or list(PROTECTIONS), options.products, options.seconds)
    with serve(options.products) as port:
        return show(run_attacks(port, options.only, options.seconds))


def show(outcomes: Iterator[Outcome | Sign]) -> int:
    """Print each outcome as it comes; 1 if one is bad."""
    print(HEAD, flush=True)
    return min(sum(print_outcomes(outcomes)), 1)


def show_protections(names: list[str], products: int, seconds: float) -> int:
    """1 if a protection isn't missed: nobody is hurt without it."""
    print(HEAD, flush=True)
    missed = miss_protections(names, products, seconds)
    useless = [name for name, outcomes in missed if not any(print_outcomes(outcomes))]
    print(f"Not missed: {', '.join(useless) or 'none'}.")
    return min(len(useless), 1)


def print_outcomes(outcomes: Iterator[Outcome | Sign]) -> list[bool]:
    """Whether each is bad."""
    bad = []
    for outcome in outcomes:
        print(outcome, flush=True)
        bad.append(outcome.is_hurt)
    return bad


def miss_protections(names: list[str], products: int, seconds: float) -> Iterator[tuple[str, Iterator[Outcome | Sign]]]:
    """Each protection, and what its attack does to the others without it. With it, that is printed only."""
    with keep_shop(products) as shop:
        for name in names:
            settings = PROTECTIONS[name].settings
            print(f"with {name}")
            with serve_shop(shop, **settings) as port:
                print_outcomes(do_harm(name, port, seconds))
            print(f"without {name}")
            with serve_shop(shop, "tests.attacks.protections", name, **settings) as port:
                yield name, do_harm(name, port, seconds)


def do_harm(name: str, port: int, seconds: float) -> Iterator[Outcome | Sign]:
    """What a stranger does against whom the protection stands."""
    harm = PROTECTIONS[name].harm
    yield from run_attacks(port, [harm], seconds) if isinstance(harm, str) else harm.show(port)


def run_attacks(port: int, names: list[str], seconds: float) -> Iterator[Outcome]:
    feel(port, seconds / 2)  # plans are made, connections opened
    for name in names:
        calm = feel(port, seconds)
        with attack(name, port):
            time.sleep(1)
            attacked = feel(port, seconds)
        for kind in KINDS:
            yield Outcome(name, kind, calm[kind], attacked[kind])
        time.sleep(3)  # what half-sent requests hold is given back


@contextmanager
def attack(name: str, port: int) -> Iterator[None]:
    """In a process of its own, whose work doesn't wait for ours."""
    process = subprocess.Popen([sys.executable, "-m", "tests.attacks.floods", name, str(port)], cwd=ROOT)
    try:
        yield
        assert process.poll() is None, f"the attack {name} has ended"
    finally:
        process.kill()
        process.wait(PATIENCE)


# -- the others --------------------------------------------------------------------------------------------------


def feel(port: int, seconds: float) -> dict[str, Felt]:
    felt = {kind: Felt(make()[3]) for kind, make in KINDS.items()}
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=ask_until, args=(port, make, felt[kind], end))
        for kind, make in KINDS.items()
        for _ in range(CLIENTS_OF_A_KIND)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return felt


def ask_until(port: int, make: Callable[[], Request], felt: Felt, end: float) -> None:
    """Ask every 50 ms, as clients with other addresses than the stranger's; a request without an answer counts as 0."""
    while time.monotonic() < end:
        began = time.perf_counter()
        felt.note(send(port, *make()[:3]), time.perf_counter() - began)
        time.sleep(0.05)


def send(port: int, method: str, address: str, body: bytes | None) -> int:
    # A connection each: the next one must be accepted, too.
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"X-Forwarded-For": f"198.51.100.{next(NUMBERS) % 250}", "Content-Type": "application/json"}
    try:
        client.request(method, address, body, headers)
        answer = client.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        client.close()


# -- the server --------------------------------------------------------------------------------------------------


@contextmanager
def serve(products: int, **more: str) -> Iterator[int]:
    """The port of a server with so many products, and the rates that every installation has; `more` are settings."""
    with keep_shop(products) as shop, serve_shop(shop, **more) as port:
        yield port


@contextmanager
def keep_shop(products: int) -> Iterator[dict[str, str]]:
    """A PostgreSQL with so many products, and a Redis: the environment of a server on them."""
    postgres, redis = PostgresServer(), RedisServer()
    try:
        environment = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, "LOG_LEVEL": "ERROR"}
        fill(postgres.url, products, environment)
        yield environment
    finally:
        postgres.remove()
        redis.stop()


@contextmanager
def serve_shop(shop: dict[str, str], *program: str, **more: str) -> Iterator[int]:
    """The port of a server; `program` is the module that starts it, with its arguments."""
    port = str(free_port())
    # Nothing comes from the cache, in which the dearest answers would be hits; a proxy tells addresses.
    variables = shop | {"WEB_WORKERS": "2", "CACHE": "off", "TRUSTED_PROXIES": "1"} | DEFAULT_RATES | more
    with launch("-m", *(program or ("config.server",)), **variables, PORT=port) as launched:
        launched.wait_for("serves on")
        yield int(port)


def fill(database: str, products: int, environment: dict[str, str]) -> None:
    for command in (["migrate", "-v0"], ["seed", "--products", str(products), "--json"]):
        arguments = [sys.executable, "manage.py", *command]
        subprocess.run(arguments, cwd=ROOT, env=build_environment(**environment), check=True, stdout=subprocess.DEVNULL)
    with psycopg.connect(database, autocommit=True) as connection:
        # The changes of the seed would be numbered meanwhile.
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE catalog_change_inbox")
        connection.execute("VACUUM ANALYZE")
