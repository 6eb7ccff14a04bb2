"""The form of an edit: what to change, and the fields of each kind of edit."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from catalog.edits.kinds import Edit
from catalog.edits.reading import KINDS, PRICE_WAYS, STOCK_WAYS, BadEdit, read_edit
from catalog.models import Brand, Category, Product
from catalog.querysets import MAIN

# The fields of each kind, in their order.
FIELDS = {
    "status": ("status",),
    "brand": ("brand",),
    "category": ("category",),
    "tags": ("add_tags", "remove_tags"),
    "attribute": ("attribute", "value"),
    "price": ("price_how", "amount", "to_99", "begins", "ends"),
    "stock": ("stock_how", "pieces", "location", "reason"),
}


def make_text(label: str, help_text: str = "", kind: str = "text", **settings: Any) -> Any:
    widget = UnfoldAdminTextInputWidget({"type": kind})
    return forms.CharField(
        label=label, help_text=help_text, required=False, max_length=1_000, widget=widget, **settings
    )  # fmt: skip


def make_choice(label: str, choices: Any) -> Any:
    return forms.ChoiceField(label=label, choices=list(choices), required=False, widget=UnfoldAdminSelectWidget)


def make_link(model: Any, name: str) -> Any:
    widget = AutocompleteSelect(
        Product._meta.get_field(name), admin.site, attrs={"class": "unfold-admin-autocomplete admin-autocomplete"}
    )
    return forms.ModelChoiceField(
        model.objects.all(), required=False, widget=widget, help_text=f"Empty: the products have no {name}."
    )


class EditForm(forms.Form):
    """`edit` is set after `is_valid()`."""

    edit = forms.ChoiceField(
        label="What to change",
        choices=[("", "Choose…"), *((kind, KINDS[kind][0]) for kind in FIELDS)],
        widget=UnfoldAdminSelectWidget(attrs={"x-model": "kind", "autofocus": True}),
    )
    status = make_choice("Status", Product.Status.choices)
    brand = make_link(Brand, "brand")
    category = make_link(Category, "category")
    add_tags = make_text("Add", "Tags, comma-separated.")
    remove_tags = make_text("Remove", "Tags, comma-separated.")
    attribute = make_text("Attribute", "Its name, such as material.")
    value = make_text("Value", "Empty: the attribute is removed.")
    price_how = make_choice("How", PRICE_WAYS.items())
    amount = make_text("Number", "As in 5, -2.50 or 19.99; in each product's own currency.")
    to_99 = forms.BooleanField(
        label="Round to the nearest price that ends in .99", required=False, widget=UnfoldBooleanSwitchWidget
    )
    begins = make_text("From", "In UTC. Empty: at once.", "datetime-local")
    ends = make_text("Until", "Then the price of before returns. Empty: the price stays.", "datetime-local")
    stock_how = make_choice("How", STOCK_WAYS.items())
    pieces = make_text("Pieces")
    location = make_text("Location", initial=MAIN)
    reason = make_text("Reason", "Stands beside the change in the history.")

    chosen: Edit | None = None

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.chosen = read_edit(self.pick(values))
            except BadEdit as error:
                self.add_error(error.field, error.sentence)
        return values

    def pick(self, values: dict[str, Any]) -> dict[str, Any]:
        """The kind and its own fields, as JSON has them; what stands in others isn't part of the edit."""
        names = ("edit", *FIELDS[values["edit"]])
        return {name: getattr(values.get(name), "pk", values.get(name)) for name in names}

    @property
    def groups(self) -> list[tuple[str, list[Any]]]:
        return [(kind, [self[name] for name in names]) for kind, names in FIELDS.items()]
