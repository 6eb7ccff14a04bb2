"""The admin's forms write only the columns that a person changed."""

from typing import Any

from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.forms import PaginationInlineFormSet


class RemembersShown:
    """Forms that remember the shown values, so that saving an old page doesn't undo other users' later changes.

    Django compares the posted values with the row at that time, and takes every difference as a change of the user.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["show_hidden_initial"] = True
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # an admin's


class ChangedFormSet(PaginationInlineFormSet):
    """Inline rows. Only their changed columns are written."""

    def save_existing(self, form: ModelForm[Any], obj: Model, commit: bool = True) -> Model:
        if commit:
            save_changed(obj, form)
        return obj


def save_changed(row: Model, form: ModelForm[Any]) -> None:
    """Write only the changed columns. A whole row would undo what an order or a trigger wrote meanwhile."""
    columns = {field.name for field in row._meta.concrete_fields}
    row.save(update_fields=columns.intersection(form.changed_data))
