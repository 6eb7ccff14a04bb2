"""Writes stock and prices of variants by SKU, the most frequent writes: few statements for one or a thousand rows."""

from collections.abc import Collection, Iterable, Sequence

from django.db.models import QuerySet
from django.db.models.functions import Lower

from catalog.locations import list_undeclared, say_undeclared
from catalog.models import Product, Stock, Variant
from catalog.writes.saving import make_batch, move_versions
from catalog.writes.sentences import say_changed, say_repeated, say_reserved, say_short, say_unknown
from catalog.writes.texts import index_composed, list_forms
from catalog.writes.values import MOST_INTEGER
from config.api.writes.bodies import Row, Values


class StockWriter:
    """Writes `{"sku", "location", "on_hand" or "adjust"}`: the pieces at a declared location.

    The stock is locked before it is compared, so a delta is added to what is there, and nothing comes between
    `if_on_hand` or `if_version` and the write.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = good = list_good(rows)
        name_rows(rows, "sku", "location")
        for row in rows:
            row.names |= {"on_hand": None, "version": None}
        named = Variant.objects.filter(sku__in=list_forms(list_skus(good)))
        lock_products(named)
        found = index_composed(named.values_list("sku", "pk"), lambda pair: pair[0])
        self.keys = {sku: key for sku, (_, key) in found.items()}
        refuse_unknown(good, self.keys)
        refuse_repeated(good, "sku", "location")
        refuse_undeclared(good)
        self.stock = self.lock_stock(good)
        for row in list_good(good):
            refuse_level(row, self.find_stock(row))
        self.tell_levels()

    def lock_stock(self, rows: Iterable[Row]) -> dict[tuple[int, str], Stock]:
        """The stock by variant id and location. Locked in the order of the keys, to prevent deadlocks."""
        places = {row.values["location"] for row in rows}
        found = Stock.objects.alias(place=Lower("location")).filter(variant_id__in=self.keys.values(), place__in=places)
        locked = list(found.order_by("pk").select_for_update(no_key=True))
        # An older release distinguished locations by case. If there are two, the lower-case one comes last and is used.
        locked.sort(key=lambda stock: stock.location.islower())
        return {(stock.variant_id, stock.location.lower()): stock for stock in locked}

    def find_stock(self, row: Row) -> Stock:
        """The stored stock, or a new one without pieces."""
        place = (self.keys[row.values["sku"]], row.values["location"])
        return self.stock.get(place) or Stock(variant_id=place[0], location=place[1], version=0)

    def save(self) -> None:
        batch = make_batch(Stock, "variant_id")
        for row in list_good(self.rows):
            stock = self.find_stock(row)
            is_new = stock.pk is None
            columns = list_columns(row, stock) | ({"version": 1} if is_new else {})
            if batch.put(stock, columns, is_new=is_new):
                row.status = "created" if is_new else "updated"
        batch.save()
        if batch.new or batch.old:
            # The trigger has counted the versions.
            self.stock = self.lock_stock(self.rows)
        self.tell_levels()

    def tell_levels(self) -> None:
        """Let the results tell the pieces and the version that are stored."""
        for row in self.rows:
            if stock := self.stock.get((self.keys.get(row.values["sku"], 0), row.values["location"])):
                row.names |= {"on_hand": stock.on_hand, "version": stock.version}


def refuse_undeclared(rows: Sequence[Row]) -> None:
    undeclared = list_undeclared(row.values["location"] for row in rows)
    for row in rows:
        if (code := row.values["location"]) in undeclared:
            row.refuse(f"{row.pointer}/location", "not_found", say_undeclared(code))


def find_level(row: Row, stock: Stock) -> int:
    """The pieces on hand after the row is written."""
    level: int = row.values["on_hand"] if "on_hand" in row.values else stock.on_hand + row.values["adjust"]
    return level


def list_columns(row: Row, stock: Stock) -> Values:
    """The columns to write. Without a `reason` the stock forgets an earlier one, if its pieces change."""
    level = find_level(row, stock)
    is_told = "reason" in row.values or level != stock.on_hand
    return {"on_hand": level} | ({"reason": row.values.get("reason", "")} if is_told else {})


def refuse_level(row: Row, stock: Stock) -> None:
    """Add faults for conditions that don't hold, and for fewer pieces than are reserved or more than fit the column."""
    values, level = row.values, find_level(row, stock)
    for name, present in (("if_on_hand", stock.on_hand), ("if_version", stock.version)):
        if name in values and values[name] != present:
            row.refuse(f"{row.pointer}/{name}", "changed", say_changed(name.removeprefix("if_"), values[name], present))
    if row.faults:
        return
    if level < stock.reserved and "on_hand" in values:
        row.refuse(f"{row.pointer}/on_hand", "reserved", say_reserved(level, stock.reserved))
    elif level < stock.reserved:
        detail = say_short(values["adjust"], stock.on_hand, stock.reserved)
        row.refuse(f"{row.pointer}/adjust", "reserved", detail)
    elif level > MOST_INTEGER:
        row.refuse(f"{row.pointer}/adjust", "max_value", f"{level:,} pieces would be on hand; add fewer.")


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
