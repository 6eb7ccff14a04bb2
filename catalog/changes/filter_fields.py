"""The filters of a webhook as fields of the admin's form."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from catalog.models import Brand, Category, Product


class RowsWidget(AutocompleteSelectMultiple):
    """Django's, which fails for a value that isn't a number, before the field can refuse it."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [each for each in value if str(each).isdecimal()], attr)


def make_filter_fields() -> Mapping[str, Any]:
    """By the filters' names. Nothing chosen means that the filter isn't used."""
    return {
        "brand": make_rows_field(Brand, "brand", "Only products of these brands."),
        "category": make_rows_field(Category, "category", "Only products in these categories, or below them."),
        "status": forms.MultipleChoiceField(
            choices=Product.Status.choices,
            required=False,
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
            help_text="Only products with one of these statuses.",
        ),
    }


def make_rows_field(model: Any, name: str, words: str) -> Any:
    # Not a plain select, which would hold the whole table.
    attributes = {"class": "unfold-admin-autocomplete admin-autocomplete"}
    widget = RowsWidget(Product._meta.get_field(name), admin.site, attrs=attributes)
    return forms.ModelMultipleChoiceField(model.objects.all(), required=False, widget=widget, help_text=words)
