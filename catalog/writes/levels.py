"""Writes stock and prices of variants by SKU, the most frequent writes: few statements for one or a thousand rows."""

from collections.abc import Collection, Iterable, Sequence

from django.db.models import QuerySet
from django.db.models.functions import Lower

from catalog.models import Product, Stock, Variant
from catalog.writes.saving import make_batch, move_versions
from catalog.writes.sentences import say_repeated, say_reserved, say_unknown
from catalog.writes.texts import index_composed, list_forms
from config.api.writes.bodies import Row


class StockWriter:
    """Writes `{"sku", "location", "on_hand"}`: the pieces at a location. A variant's new location is created."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        name_rows(rows, "sku", "location")
        good = list_good(rows)
        named = Variant.objects.filter(sku__in=list_forms(list_skus(good)))
        lock_products(named)
        found = index_composed(named.values_list("sku", "pk"), lambda pair: pair[0])
        self.keys = {sku: key for sku, (_, key) in found.items()}
        refuse_unknown(good, self.keys)
        refuse_repeated(good, "sku", "location")
        self.stock = self.lock_stock(good)
        for row in list_good(rows):
            self.refuse_reserved(row)

    def lock_stock(self, rows: Iterable[Row]) -> dict[tuple[int, str], Stock]:
        """The stock by variant id and location. Locked in the order of the keys, to prevent deadlocks."""
        places = {row.values["location"] for row in rows}
        found = Stock.objects.alias(place=Lower("location")).filter(variant_id__in=self.keys.values(), place__in=places)
        locked = list(found.order_by("pk").select_for_update(no_key=True))
        # An older release distinguished locations by case. If there are two, the lower-case one comes last and is used.
        locked.sort(key=lambda stock: stock.location.islower())
        return {(stock.variant_id, stock.location.lower()): stock for stock in locked}

    def find_stock(self, row: Row) -> Stock | None:
        return self.stock.get((self.keys[row.values["sku"]], row.values["location"]))

    def refuse_reserved(self, row: Row) -> None:
        stock = self.find_stock(row)
        if stock and row.values["on_hand"] < stock.reserved:
            row.refuse(f"{row.pointer}/on_hand", "reserved", say_reserved(row.values["on_hand"], stock.reserved))

    def save(self) -> None:
        batch = make_batch(Stock, "variant_id")
        for row in list_good(self.rows):
            stock = self.find_stock(row)
            place = Stock(variant_id=self.keys[row.values["sku"]], location=row.values["location"])
            if batch.put(stock or place, {"on_hand": row.values["on_hand"]}, is_new=stock is None):
                row.status = "updated" if stock else "created"
        batch.save()


class PricesWriter:
    """Writes `{"sku", "price"}`: a variant's price. A trigger updates the product's price."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        name_rows(rows, "sku")
        good = list_good(rows)
        named = Variant.objects.filter(sku__in=list_forms(list_skus(good)))
        self.versions = lock_products(named)
        self.variants = index_composed(named, lambda variant: variant.sku)
        refuse_unknown(good, self.variants)
        refuse_repeated(good, "sku")

    def save(self) -> None:
        batch = make_batch(Variant, "sku")
        for row in list_good(self.rows):
            if batch.put(self.variants[row.values["sku"]], {"price": row.values["price"]}, is_new=False):
                row.status = "updated"
        batch.save()
        if batch.old:
            changed = [self.variants[row.values["sku"]].product_id for row in self.rows if row.status == "updated"]
            move_versions({pk: self.versions[pk] for pk in changed})


def lock_products(variants: QuerySet[Variant]) -> dict[int, int]:
    """Lock the products of `variants` in the order of their keys. Returns their versions by key.

    Orders and all other writers of several rows lock in this order too, to prevent deadlocks.
    """
    products = Product.objects.filter(pk__in=variants.values("product")).order_by("pk")
    return dict(products.select_for_update(no_key=True).values_list("pk", "version"))


def list_good(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row.faults]


def list_skus(rows: Iterable[Row]) -> set[str]:
    return {row.values["sku"] for row in rows}


def name_rows(rows: Iterable[Row], *names: str) -> None:
    for row in rows:
        row.names = {name: row.values.get(name) for name in names}


def refuse_unknown(rows: Iterable[Row], known: Collection[str]) -> None:
    for row in rows:
        if (sku := row.values["sku"]) not in known:
            row.refuse(f"{row.pointer}/sku", "not_found", say_unknown("variant", "SKU", sku))


def refuse_repeated(rows: Iterable[Row], *names: str) -> None:
    first: dict[tuple[str, ...], str] = {}
    for row in rows:
        found = first.setdefault(tuple(row.values[name] for name in names), row.pointer)
        if found != row.pointer:
            row.refuse(f"{row.pointer}/sku", "repeated", say_repeated(row.values["sku"], f"at {found}/sku"))
