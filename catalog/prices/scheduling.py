"""Plans a price for a time, and cancels it. Whoever writes locks the variant's product first, as all writers do."""

from datetime import datetime

from django.shortcuts import get_object_or_404
from django.utils import timezone

from catalog.models import ScheduledPrice, Variant
from catalog.prices.switching import end_price
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
    """One without an end takes only the moment in which it sets the price."""
    for other in variant.scheduled_prices.filter(state__in=(State.WAITING, State.ACTIVE)).order_by("starts_at"):
        if reaches(other.starts_at, other.ends_at, begin) and reaches(begin, end, other.starts_at):
            until = f" until {other.ends_at:{RFC}}" if other.ends_at else ""
            detail = f"It overlaps the price {other.price} from {other.starts_at:{RFC}}{until} (id {other.pk})."
            raise Conflict(detail, "Choose another time, or cancel that one.", [Fault("/from", "overlaps", detail)])


def reaches(begin: datetime, end: datetime | None, moment: datetime) -> bool:
    """Whether what begins at `begin` lasts beyond `moment`."""
    return moment <= begin if end is None else moment < end


def cancel_price(scheduled: ScheduledPrice) -> None:
    """Delete it. If it is active, the price of before returns, as at its end."""
    lock_products(Variant.objects.filter(pk=scheduled.variant_id))
    row = get_object_or_404(ScheduledPrice.objects.select_for_update(no_key=True), pk=scheduled.pk)
    if row.state == State.ACTIVE:
        end_price(row)
    row.delete()
