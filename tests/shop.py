"""A shop under load, for fault tests: its database, a user who may order, and writers that note acknowledged orders."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.launching import run_command

OPEN = """
import json
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("seed", products={products}, json=True)
from accounts.models import AuthToken, User
from catalog.models import Stock, Variant
user = User.objects.create_superuser("load@example.com", "secret")
Stock.objects.update(on_hand=10**6, reserved=0)
skus = list(Variant.objects.order_by("pk").values_list("sku", flat=True)[:20])
print(json.dumps([AuthToken.objects.create(user)[1], skus]))
"""

# The numbers of all orders, and how many variants have other pieces reserved than their orders say.
AUDIT = """
import json
from django.db.models import Sum
from accounts.models import Order, OrderLine
from catalog.models import Stock
ordered = dict(OrderLine.objects.values_list("variant").annotate(Sum("quantity")))
reserved = dict(Stock.objects.filter(reserved__gt=0).values_list("variant", "reserved"))
wrong = {key for key in ordered | reserved if ordered.get(key, 0) != reserved.get(key, 0)}
empty = Order.objects.filter(lines=None).count()
print(json.dumps([list(Order.objects.values_list("number", flat=True)), len(wrong) + empty]))
"""


@dataclass
class Shop:
    database: str
    redis: str = ""
    token: str = ""
    skus: list[str] = field(default_factory=list)

    def open(self, products: int = 500) -> None:
        self.token, self.skus = self.shell(OPEN.format(products=products))

    def run(self, *arguments: str) -> str:
        done = run_command("manage.py", *arguments, DATABASE_URL=self.database, REDIS_URL=self.redis)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, code: str) -> Any:
        return json.loads(self.run("shell", "-v0", "-c", code).splitlines()[-1])

    def audit(self) -> tuple[set[str], int]:
        """The numbers of all orders, and the number of half-done effects (wrong reservations, orders without lines)."""
        numbers, wrong = self.shell(AUDIT)
        return set(numbers), wrong

    @property
    def environment(self) -> dict[str, str]:
        limits = dict.fromkeys(("RATE_LIMIT_ANON", "RATE_LIMIT_TOKEN"), "off")
        return {"DATABASE_URL": self.database, "REDIS_URL": self.redis, "LOG_LEVEL": "WARNING"} | limits


@dataclass
class Writers:
    """The answers that the writers got. The status 0 means no answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    bodies: list[Any] = field(default_factory=list)
    without_wait: int = 0

    def note(self, status: int, headers: Any, body: Any) -> None:
        self.statuses[status] += 1
        if status == 201:
            self.acknowledged.add(body["number"])
        elif status >= 500:
            self.without_wait += not headers.get("Retry-After")
            self.bodies.append(body)


@contextmanager
def writers(shop: Shop, port: int, number: int) -> Iterator[Writers]:
    """Run `number` clients during the block. Each places one order after the other."""
    over, told = threading.Event(), Writers()
    headers = {"Authorization": f"Token {shop.token}", "Content-Type": "application/json"}

    def write(index: int) -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        order = json.dumps({"lines": [{"sku": shop.skus[index % len(shop.skus)], "quantity": 1}]})
        while not over.is_set():
            try:
                client.request("POST", "/api/v1/orders/", order, headers)
                answer = client.getresponse()
                told.note(answer.status, answer.headers, json.loads(answer.read()))
            except (OSError, http.client.HTTPException, ValueError):
                told.statuses[0] += 1
                client.close()
                over.wait(0.05)
        client.close()

    threads = [threading.Thread(target=write, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()
