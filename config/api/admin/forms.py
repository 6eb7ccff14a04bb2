"""The admin's forms write only the columns that a person changed, and overwrite nobody's later change."""

from collections.abc import Callable
from typing import Any

from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.forms import PaginationInlineFormSet

# Names who changed a row last, for people; the app of the change log sets it.
type NameAuthor = Callable[[Model], str]

AUTHORS: list[NameAuthor] = []
# Characters of a value in a sentence.
LONGEST_SHOWN = 200


def register_author(name_author: NameAuthor) -> None:
    AUTHORS[:] = [name_author]


class NoticesOthers:
    """A form of a stored row: a field that somebody else changed since the page was opened is an error.

    It says who set what. Saving once more keeps the own value; a button takes theirs.
    """

    fields: Any
    initial: Any
    instance: Any
    data: Any
    files: Any
    changed_data: Any

    def clean(self) -> Any:
        values = super().clean()  # type: ignore[misc]  # a form's
        if self.instance.pk and not self.instance._state.adding:
            for name in self.changed_data:
                self.compare(name)
        return values

    def compare(self, name: str) -> None:
        field, bound = self.fields[name], self[name]  # type: ignore[index]  # a form's
        if not field.show_hidden_initial or bound.html_initial_name not in self.data:
            return
        hidden, present = field.hidden_widget(), bound.initial
        shown = hidden.value_from_datadict(self.data, self.files, bound.html_initial_name)
        if field.has_changed(present, shown) and field.has_changed(present, bound.data):
            self.add_error(name, self.tell(bound))  # type: ignore[attr-defined]  # a form's
            # The next save has seen it.
            self.data = self.data.copy()
            self.data[bound.html_initial_name] = hidden.format_value(field.prepare_value(present)) or ""

    def tell(self, bound: Any) -> str:
        present = bound.field.prepare_value(bound.initial)
        text = self.show(bound)
        author = AUTHORS[0](self.instance) if AUTHORS else "Somebody"
        return format_html(
            "{} changed this to “{}” after you opened the page. Save again to keep your value, or "
            '<button type="button" class="cursor-pointer font-medium underline" data-theirs="{}" data-label="{}" '
            'data-field="{}">take theirs</button>.',
            author, text or "nothing", "" if present is None else present, text, bound.id_for_label,
        )  # fmt: skip

    def show(self, bound: Any) -> str:
        """The present value, for people."""
        row = self.instance
        if hasattr(row, f"{bound.name}_id"):
            # The instance has the posted values only after `clean`.
            return str(getattr(row, bound.name) or "")
        choices = dict(getattr(bound.field, "choices", ()))
        present = bound.field.prepare_value(bound.initial)
        return str(choices.get(present, "" if present is None else present))[:LONGEST_SHOWN]


def notice_others(form: type[Any]) -> type[Any]:
    return type(form.__name__, (NoticesOthers, form), {"__module__": form.__module__})


# Rows that a page reads of a posted form, of each kind. Django's limit of 1,000 fields ends about there, too. Its own
# limit of rows is 2,000: a body that names so many, and has none, took a minute to be shown again.
MOST_ROWS = 100


class RemembersShown:
    """Forms that remember the shown values, so that saving an old page doesn't undo other users' later changes.

    Django compares the posted values with the row at that time, and takes every difference as a change of the user.
    """

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # What is dragged writes all inputs whose names end so, the remembered ones too.
        kwargs["show_hidden_initial"] = db_field.name != getattr(self, "ordering_field", None)
        return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]  # an admin's

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return notice_others(super().get_form(request, obj, change=change, **kwargs))  # type: ignore[misc]  # the same

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        most = {"max_num": MOST_ROWS, "absolute_max": MOST_ROWS}
        formset = super().get_formset(request, obj, **most | kwargs)  # type: ignore[misc]  # the mixin stands before an inline
        formset.form = notice_others(formset.form)
        return formset


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
