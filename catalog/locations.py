"""Which places have stock: they are declared, and `Product.in_stock` follows when one is switched.

Triggers note each change of `sellable` in `settled_to`. `settle_locations` then waits for all who are
writing stock, since they may go by the old value. It looks at the stock in the order of its ids, and moves `in_stock`
of the products there, a batch for each transaction. A request does the first batches of its own change, a worker what
is left.
"""

import time
from collections.abc import Collection, Iterable

from django.db import connection, transaction
from django.db.models import Max

from catalog.models import Location, Stock
from catalog.querysets import MAIN
from catalog.writes.small_lists import refuse_taken, update_row
from config.api.problems.errors import Conflict, Fault, InvalidBody
from config.api.problems.near import suggest
from config.api.writes.bodies import Values

# Stock that a batch looks at, and the seconds that a request or a worker spends before it leaves the rest.
BATCH_ROWS = 20_000
SECONDS = 2.0

SETTLE = {
    "postgresql": """
        SELECT catalog_derive_stock(ARRAY(SELECT DISTINCT v.product_id FROM catalog_variant v WHERE v.id IN (
            SELECT s.variant_id FROM catalog_stock s WHERE s.id > %s AND s.id <= %s AND s.location = %s)))""",
    "sqlite": """
        UPDATE catalog_product SET in_stock = NOT in_stock WHERE id IN (
            SELECT v.product_id FROM catalog_variant v JOIN catalog_stock s ON s.variant_id = v.id
            WHERE s.id > %s AND s.id <= %s AND s.location = %s
        ) AND in_stock <> EXISTS (
            SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
            JOIN catalog_location l ON l.code = s.location AND l.sellable
            WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved)""",
}


def list_undeclared(codes: Iterable[str]) -> set[str]:
    """Those codes that no location has. No query for the default location alone."""
    asked = set(codes)
    if not asked - {MAIN}:
        return set()
    return asked - set(Location.objects.filter(code__in=asked).values_list("code", flat=True))


def say_undeclared(code: str) -> str:
    known = list(Location.objects.values_list("code", flat=True))
    return f"There is no location {code!r}; declare it by POST locations/, or correct it. {suggest(code, known)}"


def declare_locations(codes: Collection[str]) -> int:
    """Declare the missing ones: sellable, and after all others. Returns their number."""
    missing = sorted(list_undeclared(codes))
    if missing:
        new = [Location(code=code, name=code, priority=find_last() + 1) for code in missing]
        Location.objects.bulk_create(new, ignore_conflicts=True)
    return len(missing)


def create_location(values: Values) -> Location:
    """The last one, unless `priority` says another place."""
    refuse_taken(Location, values)
    row = Location.objects.create(**{"name": values["code"], "priority": find_last() + 1} | values)
    settle_after_commit()
    return row


def find_last() -> int:
    return Location.objects.aggregate(last=Max("priority"))["last"] or 0


def change_location(location: Location, values: Values) -> Location:
    """Raises InvalidBody for another code: stock refers to it."""
    if values.get("code", location.code) != location.code:
        detail = f"The code of a location is for life; it is {location.code!r}. Create another location."
        raise InvalidBody([Fault("/code", "invalid", detail)])
    update_row(location, values)
    settle_after_commit()
    return location


def settle_after_commit() -> None:
    # The change is written; what fails here, a worker does.
    transaction.on_commit(settle_locations, robust=True)


def delete_location(location: Location) -> None:
    """Raises Conflict if there is stock, or for the default location."""
    if location.code == MAIN:
        raise Conflict("This is the default location.", "Make it unsellable instead.")
    if Stock.objects.filter(location=location.code).exists():
        raise Conflict("There is stock at this location.", "Move it, or make the location unsellable.")
    location.delete()


def settle_locations() -> None:
    """Let Product.in_stock follow the locations that were switched, as far as SECONDS go."""
    end = time.monotonic() + SECONDS
    while settle_batch() and time.monotonic() < end:
        pass


def settle_batch(size: int = BATCH_ROWS) -> bool:
    """Whether there was a batch."""
    location = Location.objects.filter(settled_to__isnull=False).order_by("pk").first()
    if location is None:
        return False
    if location.settled_to == 0:
        wait_for_writers()
    with transaction.atomic():
        # Another worker may have done this batch, or somebody switched it again: then writers have to be waited for.
        same = Location.objects.filter(pk=location.pk, version=location.version, settled_to=location.settled_to)
        if same.select_for_update(no_key=True).first():
            settle_stock(location, size)
    return True


def wait_for_writers() -> None:
    """Wait for the transactions that have written stock. SQLite has one writer at a time."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock('catalog_location'::regclass::oid::bigint)")


def settle_stock(location: Location, size: int) -> None:
    begin = location.settled_to or 0
    keys = list(Stock.objects.filter(pk__gt=begin).order_by("pk").values_list("pk", flat=True)[:size])
    if keys:
        with connection.cursor() as cursor:
            cursor.execute(SETTLE[connection.vendor], [begin, keys[-1], location.code])
    Location.objects.filter(pk=location.pk).update(settled_to=keys[-1] if keys else None)
