"""Plans a price for a time, and cancels it. Whoever writes locks the variant's product first, as all writers do."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from django.shortcuts import get_object_or_404
from django.utils import timezone

from catalog.models import ScheduledPrice, Variant
from catalog.prices.switching import end_prices
from catalog.writes.among import is_among
from catalog.writes.levels import lock_products
from catalog.writes.sentences import say_unknown
from catalog.writes.texts import list_forms
from config.api.database.authorship import ACTOR
from config.api.problems.errors import Conflict, Fault, InvalidBody
from config.api.writes.bodies import Values

State = ScheduledPrice.State
RFC = "%Y-%m-%dT%H:%M:%SZ"


def schedule_price(values: Values) -> ScheduledPrice:
    """`sku`, `price`, `from` and perhaps `until`. The caller's transaction holds the locks.

    Raises InvalidBody for an unknown SKU or a time that doesn't lie ahead, and Conflict for one that overlaps.
    """
    begin, end = values["from"], values.get("until")
    refuse_times(begin, end)
    variant = lock_variant(values["sku"])
    refuse_overlap(variant, begin, end)
    return ScheduledPrice.objects.create(
        variant=variant, price=values["price"], starts_at=begin, ends_at=end, due_at=begin, author=ACTOR.get()
    )


def refuse_times(begin: datetime, end: datetime | None) -> None:
    faults = []
    if begin <= timezone.now():
        faults.append(Fault("/from", "past", "It isn't in the future; to set a price now, PATCH prices/bulk/."))
    if end is not None and end <= begin:
        faults.append(Fault("/until", "invalid", "It isn't after `from`; give a later time, or null for no end."))
    if faults:
        raise InvalidBody(faults)


def lock_variant(sku: str) -> Variant:
    named = Variant.objects.filter(sku__in=list_forms([sku]))
    lock_products(named)
    if found := named.first():
        return found
    raise InvalidBody([Fault("/sku", "not_found", say_unknown("variant", "SKU", sku))])


def refuse_overlap(variant: Variant, begin: datetime, end: datetime | None) -> None:
    if other := find_overlap(find_planned([variant.pk]).get(variant.pk, ()), begin, end):
        detail = say_overlap(other)
        raise Conflict(detail, "Choose another time, or cancel that one.", [Fault("/from", "overlaps", detail)])


def find_planned(variants: Collection[int]) -> dict[int, list[ScheduledPrice]]:
    """Those of each variant that wait or are active, in the order of their time. One query."""
    states = (State.WAITING, State.ACTIVE)
    rows = ScheduledPrice.objects.filter(is_among("variant_id", variants), state__in=states)
    planned: dict[int, list[ScheduledPrice]] = defaultdict(list)
    for row in rows.order_by("starts_at"):
        planned[row.variant_id].append(row)
    return planned


def find_overlap(planned: Iterable[ScheduledPrice], begin: datetime, end: datetime | None) -> ScheduledPrice | None:
    """The first that overlaps. One without an end takes only the moment in which it sets the price."""
    return next((
        other for other in planned
        if reaches(other.starts_at, other.ends_at, begin) and reaches(begin, end, other.starts_at)
    ), None)  # fmt: skip


def say_overlap(other: ScheduledPrice) -> str:
    until = f" until {other.ends_at:{RFC}}" if other.ends_at else ""
    return f"It overlaps the price {other.price} from {other.starts_at:{RFC}}{until} (id {other.pk})."


def reaches(begin: datetime, end: datetime | None, moment: datetime) -> bool:
    """Whether what begins at `begin` lasts beyond `moment`."""
    return moment <= begin if end is None else moment < end


def cancel_price(scheduled: ScheduledPrice) -> None:
    """Delete it. If it is active, the price of before returns, as at its end."""
    lock_products(Variant.objects.filter(pk=scheduled.variant_id))
    row = get_object_or_404(ScheduledPrice.objects.select_for_update(no_key=True), pk=scheduled.pk)
    if row.state == State.ACTIVE:
        end_prices([row])
    row.delete()
