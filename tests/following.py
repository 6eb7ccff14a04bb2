"""A back office that holds copies of orders, products and stock by the change feed, and random traffic of a shop."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from typing import Any

from accounts.models import Order
from catalog.models import Product, Stock

# Answers with the JSON of a GET below /api/v1/.
type Ask = Callable[[str], Any]
# Sends a write: method, path, body.
type Send = Callable[[str, str, Any], Any]

AT_ONCE = 100


class Follower:
    """Reads `changes/`, and the rows that it names; never a list."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.cursor = ""
        self.orders: dict[str, Any] = {}
        self.products: dict[int, Any] = {}
        self.stock: dict[tuple[str, str], tuple[int, int]] = {}

    def catch_up(self) -> None:
        while True:
            page = self.ask(f"changes/?page_size=1000{self.cursor and f'&after={self.cursor}'}")
            self.note(page["results"])
            self.cursor = page["next_cursor"]
            if page["next"] is None:
                return

    def note(self, changes: list[dict[str, Any]]) -> None:
        def name(column: str, *entities: str) -> list[Any]:
            return sorted({change[column] for change in changes if change["entity"] in entities})

        for number, order in self.read("orders", "number", name("sku", "order")):
            self.orders[number] = order
        ids = set(name("entity_id", "product"))
        for sku, variant in self.read("variants", "sku", name("sku", "variant", "stock"), "&expand=stock"):
            for row in variant["stock"]:
                self.stock[sku, row["location"]] = (row["on_hand"], row["reserved"])
            # What a product derives from its variants isn't a change of the product.
            ids.add(variant["product"])
        for key, product in self.read("products", "id", sorted(ids)):
            self.products[key] = product

    def read(self, path: str, key: str, values: Iterable[Any], more: str = "") -> Iterator[tuple[Any, Any]]:
        for some in batched(values, AT_ONCE, strict=False):
            asked = ",".join(map(str, some))
            yield from (
                (row[key], row) for row in self.ask(f"{path}/?{key}={asked}&page_size={AT_ONCE}{more}")["results"]
            )

    def find_differences(self) -> list[str]:
        """What differs from the tables."""
        return [*self.compare_orders(), *self.compare_stock(), *self.compare_products()]

    def compare_orders(self) -> Iterator[str]:
        rows = {order.number: order for order in Order.objects.prefetch_related("lines")}
        if rows.keys() != self.orders.keys():
            yield f"orders {rows.keys() ^ self.orders.keys()}"
        for number in rows.keys() & self.orders.keys():
            row, copy = rows[number], self.orders[number]
            lines = [(line.sku, line.quantity, line.shipped, line.returned) for line in row.lines.all()]
            copied = [
                tuple(line[name] for name in ("sku", "quantity", "shipped", "returned")) for line in copy["lines"]
            ]
            kept = (copy["status"], copy["note"], copy["version"], copied)
            if kept != (row.status, row.note, row.version, lines):
                yield f"order {number}: {kept} is {(row.status, row.note, row.version, lines)}"

    def compare_stock(self) -> Iterator[str]:
        found = Stock.objects.values_list("variant__sku", "location", "on_hand", "reserved")
        rows = {(sku, location): tuple(pieces) for sku, location, *pieces in found}
        yield from (
            f"stock {key}: {self.stock.get(key)} is {rows[key]}" for key in rows if rows[key] != self.stock.get(key)
        )

    def compare_products(self) -> Iterator[str]:
        for row in Product.objects.all():
            copy = self.products.get(row.pk, {})
            kept = tuple(copy.get(name) for name in ("title", "price", "in_stock", "version"))
            if kept != (row.title, str(row.price), row.in_stock, row.version):
                yield f"product {row.pk}: {kept} is {(row.title, row.price, row.in_stock, row.version)}"


def do_something(chance: random.Random, skus: list[str], numbers: list[str], send: Send) -> None:
    """One random write. Some are refused: too few pieces, a step that isn't next."""
    sku, pieces = chance.choice(skus), chance.randint(1, 3)
    lines = {"lines": [{"sku": sku, "quantity": pieces}]}
    order = f"orders/{chance.choice(numbers)}/" if numbers else ""
    writes: list[tuple[str, str, Any]] = [
        ("POST", "orders/", lines | {"note": str(pieces)}),
        ("PATCH", "stock/bulk/", [{"sku": sku, "adjust": chance.randint(-2, 4)}]),
        ("PATCH", "prices/bulk/", [{"sku": sku, "price": f"{pieces}.50"}]),
    ]
    if order:
        statuses = chance.choice(("paid", "paid", "shipped", "completed", "canceled"))
        writes += [("PATCH", order, {"status": statuses}), ("PATCH", order, {"note": sku})]
        writes += [("POST", f"{order}shipments/", lines), ("POST", f"{order}returns/", lines)]
        writes += [("POST", f"{order}shipments/", {})]
    answer = send(*chance.choice(writes))
    if answer and "number" in answer and answer["number"] not in numbers:
        numbers.append(answer["number"])
