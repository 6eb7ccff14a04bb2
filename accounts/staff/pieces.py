"""The admin's page where pieces of an order are sent, or taken back: the steps of the API, a few pieces at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.models import Order, OrderLine
from accounts.ordering.shipments import Left, ship_pieces, take_back
from accounts.orders import Wanted
from catalog.models import Location
from catalog.writes.values import REASON, BadValue
from config.api.problems.errors import ApiError

MOVED = "It can't be undone: the stock follows it, and the customer sees it."
CHANGED = "Pieces of this order were moved since this page was shown. Look at the new numbers, and send again."
# The locations that the form offers, by priority.
MOST_LOCATIONS = 100


class PiecesForm(forms.Form):
    """How many pieces of each line that has some left.

    `moved` is the number that were moved when the page was shown. So a form that is sent twice, or by two people at
    once, moves its pieces once.
    """

    moved = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any, lines: Sequence[OrderLine], left: Left, first: Left) -> None:
        super().__init__(data)
        self.done = sum(line.shipped + line.returned for line in lines)
        self.fields["moved"].initial = self.done
        self.lines = [line for line in lines if left(line)]
        for line in self.lines:
            self.fields[f"line-{line.pk}"] = forms.IntegerField(
                label=f"{line.sku}, {line.title}", help_text=f"{left(line):,} at most", required=False,
                min_value=0, max_value=left(line), initial=first(line), widget=UnfoldAdminIntegerFieldWidget,
            )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("moved") not in (None, self.done):
            self.data = {**dict(self.data.items()), "moved": self.done}
            raise forms.ValidationError(CHANGED)
        if not self.errors and not self.wanted:
            raise forms.ValidationError("Give at least one piece.")
        return self.cleaned_data

    @property
    def wanted(self) -> Wanted:
        numbers = [(line.sku, self.cleaned_data.get(f"line-{line.pk}")) for line in self.lines]
        return [{"sku": sku, "quantity": number} for sku, number in numbers if number]


class ReturnForm(PiecesForm):
    """Beside the pieces: why they came, whether they can be sold again, and where they lie now."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        places = Location.objects.order_by("priority", "code").values_list("code", flat=True)[:MOST_LOCATIONS]
        self.fields["reason"] = forms.CharField(
            label="Why they came back", help_text="The customer sees it.", required=False, max_length=REASON.most,
            widget=UnfoldAdminTextInputWidget,
        )  # fmt: skip
        self.fields["restock"] = forms.BooleanField(
            label="Put them on hand again", help_text="Switch it off for pieces that can't be sold.", required=False,
            initial=True, widget=UnfoldBooleanSwitchWidget,
        )  # fmt: skip
        self.fields["location"] = forms.ChoiceField(
            label="Where", required=False, widget=UnfoldAdminSelectWidget,
            choices=[("", "Where they were sent from"), *((code, code) for code in places)],
        )  # fmt: skip

    def clean_reason(self) -> str:
        """The text by the rule of bodies: composed, and without what can't be seen."""
        try:
            return REASON.read(self.cleaned_data["reason"])
        except BadValue as error:
            raise forms.ValidationError(f"{error.tell(self.cleaned_data['reason'])}.") from None


@dataclass(frozen=True)
class Way:
    """One direction of the pieces. `title` is the page's, `done` what is told after it."""

    title: str
    done: str
    form: type[PiecesForm]
    left: Left
    # The number that the form proposes.
    first: Left
    move: Callable[[Order, PiecesForm], Order]


def count_unsent(line: OrderLine) -> int:
    return line.quantity - line.shipped


def count_sent(line: OrderLine) -> int:
    return line.shipped - line.returned


def send(order: Order, form: PiecesForm) -> Order:
    return ship_pieces(order, form.wanted)


def take(order: Order, form: PiecesForm) -> Order:
    restock, reason = form.cleaned_data["restock"], form.cleaned_data["reason"]
    wanted = [{**each, "reason": reason} for each in form.wanted]
    return take_back(order, wanted, restock, form.cleaned_data["location"] or None if restock else None)


WAYS: Mapping[str, Way] = {
    "send": Way("Send pieces", "sent", PiecesForm, count_unsent, count_unsent, send),
    "take_back": Way("Take pieces back", "taken back", ReturnForm, count_sent, lambda line: 0, take),
}


def list_ways(order: Order) -> Iterator[tuple[str, str]]:
    """`(way, title)` of what can be done with the order's pieces now. All that are left are sent by the next step."""
    lines = list(order.lines.all())
    if order.status == Order.Status.PAID and sum(map(count_unsent, lines)) > 1:
        yield "send", WAYS["send"].title
    if any(map(count_sent, lines)):
        yield "take_back", WAYS["take_back"].title


def move_pieces(page: Any, request: HttpRequest, order: Order, way: Way) -> Any:
    """GET asks how many; POST moves them, and goes back to the order."""
    form, is_done = try_form(request.POST if request.method == "POST" else None, order, way)
    if is_done:
        number = sum(each["quantity"] for each in form.wanted)
        return page.leave_order(request, order, f"{number:,} {'piece' if number == 1 else 'pieces'} {way.done}.")
    note = MOVED if form.lines else "No piece is left for this."
    return page.ask_order(request, order, form, title=way.title, note=note, word=way.title if form.lines else "")


@transaction.atomic
def try_form(data: Any, order: Order, way: Way) -> tuple[PiecesForm, bool]:
    """The form, and whether its pieces were moved. The order is locked, so that its lines are as `moved` says."""
    if data is not None:
        Order.objects.select_for_update().get(pk=order.pk)
    form = way.form(data, list(order.lines.all()), way.left, way.first)
    return form, form.is_valid() and try_way(way, order, form)


def try_way(way: Way, order: Order, form: PiecesForm) -> bool:
    """Move the pieces; else the form says why not, as when somebody else was faster."""
    try:
        way.move(order, form)
    except ApiError as error:
        form.add_error(None, f"{error.detail} {error.hint}")
        return False
    return True
