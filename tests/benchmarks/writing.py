"""Products in, one by one and a thousand at once: rows a second of each, in turn, over one connection.

Singles are fewer a round, since they cost the same each. A caller's token is made beside the server:
`python -m tests.benchmarks.writing` prints one for whoever may do everything.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from itertools import count
from typing import Any

import django

from tests.benchmarks.contestants import ROOT, build_environment
from tests.benchmarks.load import Load
from tests.benchmarks.measure import Sample, Samples, make_sample
from tests.benchmarks.processes import read_cpu, wait_until_idle

ONE, MANY = "POST of one product", "bulk upsert of 1,000 products"
PRICES = "1,000 prices of variants"

BULK = 1_000

NUMBERS = count(1)


def make_products(number: int) -> Iterator[dict[str, Any]]:
    """New ones, each with a text, a variant with stock, and an image."""
    for _ in range(number):
        key = next(NUMBERS)
        yield {
            "sku": f"WRITTEN-{key}",
            "title": f"Written product {key}",
            "description": "Written while the benchmark ran.",
            "attributes": {"color": "green"},
            "variants": [{"sku": f"WRITTEN-{key}-S", "price": "9.50", "options": {"Size": "S"}, "on_hand": 3}],
            "images": [{"url": f"https://images.example/{key}.jpg", "alt": "Front"}],
        }


def make_prices(number: int) -> Iterator[dict[str, Any]]:
    """Of the products that were made last, each another price than it has."""
    last = next(NUMBERS)
    for place in range(1, number + 1):
        yield {"sku": f"WRITTEN-{last - place}-S", "price": f"{last + place}.75"}


@dataclass(frozen=True)
class WritePlan:
    rounds: int
    singles: int


def measure_writes(client: "Writer", plan: WritePlan, roots: tuple[int, int], say: Callable[[str], None]) -> Samples:
    """A round of both to warm up, which counts for nothing, then the rounds; `roots` are the servers' processes."""
    samples: Samples = {MANY: [], ONE: []}
    for number in range(plan.rounds + 1):
        say(f"writing, round {number} of {plan.rounds}")
        for name, send, rows in ((MANY, client.send_many, BULK), (ONE, client.send_one_by_one, plan.singles)):
            sample = run_round(partial(send, rows), rows, roots)
            samples[name] += [sample] if number else []
    return samples


def run_round(write: Callable[[], None], rows: int, roots: tuple[int, int]) -> Sample:
    """A write of so many rows; `roots` are the processes of the server and of PostgreSQL."""
    before, began = [read_cpu(root) for root in roots], time.perf_counter()
    write()
    seconds = time.perf_counter() - began
    server, database = (read_cpu(root) - was for root, was in zip(roots, before, strict=True))
    wait_until_idle(*roots)
    return make_sample(Load(rows, seconds, 1000 * seconds / rows), server, database)


class Writer:
    """One kept connection, and the token of whoever may write."""

    def __init__(self, port: int, token: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def send_many(self, number: int) -> None:
        self.post("/api/v1/products/bulk/", {"mode": "upsert", "items": list(make_products(number))}, 200)

    def send_one_by_one(self, number: int) -> None:
        for product in make_products(number):
            self.post("/api/v1/products/", product, 201)

    def send_prices(self, number: int) -> None:
        self.send("PATCH", "/api/v1/prices/bulk/", list(make_prices(number)), 200)

    def post(self, path: str, body: Any, status: int) -> None:
        self.send("POST", path, body, status)

    def send(self, method: str, path: str, body: Any, status: int) -> None:
        self.connection.request(method, path, json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == status, text


def make_token(database: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.writing"]
    environment = os.environ | build_environment(database)
    output = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return output.strip().splitlines()[-1]


def print_token() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.contrib.auth import get_user_model
    from knox.models import get_token_model

    user = get_user_model().objects.create_superuser("bench@example.com", "bench")  # type: ignore[attr-defined]  # ours
    print(get_token_model().objects.create(user)[1])


if __name__ == "__main__":
    print_token()
