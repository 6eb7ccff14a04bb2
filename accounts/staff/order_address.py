"""The admin's page that corrects an address of an order while it is placed, by the rules of the API."""

from typing import Any

from django import forms
from django.db import transaction
from rest_framework.serializers import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.addresses import COPIED
from accounts.models import Address, Order
from accounts.ordering.changes import change_order
from accounts.serializers import AddressWrite
from config.api.admin.forms import NoticesOthers
from config.api.problems.errors import ApiError

# The part of the page's address, and the column of the order.
COLUMNS = {"ship_to": "shipping_address", "bill_to": "billing_address"}


class AddressForm(NoticesOthers, forms.Form):
    """An order's own copy of an address: the customer's addresses stay as they are."""

    def __init__(self, data: Any, order: Order, column: str) -> None:
        super().__init__(data, initial=getattr(order, column))
        self.instance, self.column = order, column
        for name in COPIED:
            field = Address._meta.get_field(name)
            self.fields[name] = forms.CharField(
                label=str(field.verbose_name).capitalize(), help_text=field.help_text, required=not field.blank,  # type: ignore[union-attr]  # a column
                widget=UnfoldAdminTextInputWidget, show_hidden_initial=True,
            )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        # An address is one value: a street of one person and a town of another are nobody's.
        for name in self.fields:
            self.compare(name)
        try:
            return dict(AddressWrite().run_validation({name: self.cleaned_data.get(name, "") for name in self.fields}))
        except ValidationError as error:
            faults: Any = error.detail
            for name in self.fields.keys() & faults.keys() - self.errors.keys():
                self.add_error(name, [str(fault) for fault in faults[name]])
        return self.cleaned_data

    def save(self, user: Any) -> bool:
        """Write the address; else the form says why not."""
        try:
            change_order(self.instance, {self.column: self.cleaned_data}, user)
        except ApiError as error:
            self.add_error(None, str(error.detail))
        return not self.errors


@transaction.atomic
def try_form(data: Any, order: Order, column: str, user: Any) -> tuple[AddressForm, bool]:
    """The form, and whether its address was written. The order is locked, so that it is compared as it is."""
    if data is not None:
        order = Order.objects.select_for_update().get(pk=order.pk)
    form = AddressForm(data, order, column)
    return form, form.is_valid() and form.save(user)
