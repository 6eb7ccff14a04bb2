"""Filters of the admin's lists by a row of another table: people type a part of its name and choose.

The address names the row by a column that people know, such as a slug, so links to a list can be written by hand.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Model
from django.http import HttpRequest
from unfold.contrib.filters.forms import AutocompleteDropdownForm

# What an autocomplete may give in place of the key.
NAMING = ("slug", "email")


def name_row(row: Model) -> str:
    """A row in a list of suggestions. Categories have their whole path: "Tea" is below Food and below Garden."""
    return str(getattr(row, "breadcrumb", "") or row)


class NamedSuggestions(AutocompleteJsonView):
    """Django's view, which also gives another column than the key with `?by=slug`."""

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        by = self.request.GET.get("by", "")
        name = by if by in NAMING and hasattr(obj, by) else to_field_name
        return {"id": str(getattr(obj, name)), "text": name_row(obj)}


class NamedSelect(AutocompleteSelect):
    """Suggestions whose values are in the column `by`."""

    by: str = NAMING[0]

    def get_url(self) -> str:
        return f"{super().get_url()}?by={self.by}"

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        queryset: Any = self.choices.queryset  # a ModelChoiceField's
        found = queryset.filter(**{f"{self.by}__in": [one for one in value if one]})[:1]
        chosen = [self.create_option(name, getattr(row, self.by), name_row(row), True, 1) for row in found]
        return [(None, [self.create_option(name, "", "", False, 0), *chosen], 0)]


class SuggestForm(forms.Form):
    Media = AutocompleteDropdownForm.Media


class SuggestFilter(admin.SimpleListFilter):
    """A filter whose value is chosen from suggestions. A subclass sets `source` and overrides `narrow`."""

    template = "unfold/filters/filters_field.html"
    form_class = SuggestForm
    # The foreign key whose suggestions are shown: the model and the field's name; and the column of the value.
    source: ClassVar[tuple[type[Model], str]]
    by: ClassVar[str] = NAMING[0]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return self.narrow(queryset, value) if (value := self.value()) else queryset

    def narrow(self, rows: Any, value: str) -> Any:
        """The rows that belong to the chosen one."""
        raise NotImplementedError

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[Any, ...]:
        return ()

    @property
    def rows(self) -> Any:
        model, name = self.source
        return model._meta.get_field(name).related_model._default_manager.all()  # type: ignore[union-attr]  # a foreign key

    def choices(self, changelist: Any) -> Iterator[Any]:
        model, name = self.source
        widget = NamedSelect(model._meta.get_field(name), admin.site, attrs={"class": "unfold-filter-autocomplete"})
        widget.by = self.by
        form = self.form_class({str(self.parameter_name): self.value() or ""})
        form.fields[str(self.parameter_name)] = forms.ModelChoiceField(
            self.rows, required=False, to_field_name=self.by, widget=widget, label=f"By {self.title}"
        )
        yield {"form": form}

    def show(self) -> str:
        """The chosen row's name, for the chip above the list."""
        value = self.value() or ""
        row = self.rows.filter(**{self.by: value}).first()
        return name_row(row) if row else value
