"""A body in, checked values out. Unknown members are errors. Each row of a list is checked by itself."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.serializers import ListSerializer, Serializer
from rest_framework.settings import api_settings

from config.api.problems.error_handler import find_faults
from config.api.problems.errors import MOST_NAMED, Conflict, Fault, InvalidBody
from config.api.problems.near import suggest
from config.api.reads.selections import find_fields

type Values = dict[str, Any]

READ_ONLY = "This can't be written. Leave it out; a change may also send it as the row has it now."

# Codes of faults that come from stored data, not from the body, and their hints.
CLASHES = {
    "taken": "It names one row only: choose another.",
    "reserved": "Free the reserved pieces first.",
    "changed": "Read the row again, and send what is true of it now.",
}


class StrictSerializer[Instance](Serializer[Instance]):
    """Raises an error for unknown members. DRF ignores them, so a client would think that it was saved."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            sentence = f"This must be an object, but it is {name_type(data)}."
            raise ValidationError({api_settings.NON_FIELD_ERRORS_KEY: [ErrorDetail(sentence, "invalid")]})
        unknown = self.find_unknown(data)
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError(unknown | cast(Values, error.detail)) from error
        if unknown:
            raise ValidationError(unknown)
        return values

    def find_unknown(self, data: Values) -> Values:
        known = [name for name, field in self.fields.items() if not field.read_only]
        unknown = [name for name in data if name not in known]
        shown = self.list_shown()
        told: Values = {
            name: [
                ErrorDetail(READ_ONLY if name in shown else f"Unknown member. {suggest(name, known)}", "unknown_member")
            ]
            for name in unknown[:MOST_NAMED]
        }
        if (more := len(unknown) - len(told)) > 0:
            told[api_settings.NON_FIELD_ERRORS_KEY] = [ErrorDetail(f"{more} more unknown members.", "unknown_member")]
        return told

    def list_shown(self) -> Collection[str]:
        """The members of the row that the view shows."""
        shape = getattr(self.context.get("view"), "read_serializer", None)
        return find_fields(shape) if self.parent is None and shape else ()


# The names of Python's types in JSON.
JSON_TYPES = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def name_type(value: Any) -> str:
    return JSON_TYPES.get(type(value), type(value).__name__)


class ChoiceField(serializers.ChoiceField):
    """A choice whose error lists all choices. DRF's error names only the bad value."""

    def fail(self, key: str, **values: Any) -> NoReturn:
        if key == "invalid_choice":
            choices = ", ".join(str(choice) for choice in self.choices)
            raise ValidationError(f"{str(values['input'])[:20]!r} is not one of {choices}.", key)
        super().fail(key, **values)


@dataclass
class Row:
    """A row of a body: its JSON pointer (`/items/3`), its values, its faults, and its outcome."""

    pointer: str
    values: Values
    faults: list[Fault] = field(default_factory=list)
    status: str = "unchanged"
    # The members by which the result names the row.
    names: Values = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return "failed" if self.faults else self.status

    def refuse(self, pointer: str, code: str, detail: str) -> None:
        self.faults.append(Fault(pointer, code, detail))


class RowList(ListSerializer[Any]):
    """A list that checks each row by itself: a row keeps its own faults, and the others go on."""

    def to_internal_value(self, data: Any) -> list[Row]:
        if not isinstance(data, list):
            self.fail("not_a_list", input_type=type(data).__name__)
        if not data:
            self.fail("empty")
        most = self.max_length  # type: ignore[attr-defined]  # the stubs don't know it
        if most is not None and len(data) > most:
            self.fail("max_length", max_length=most)
        place = f"/{self.field_name}" if self.field_name else ""
        return [self.read_row(f"{place}/{number}", body) for number, body in enumerate(data)]

    def read_row(self, pointer: str, body: Any) -> Row:
        assert self.child is not None  # DRF requires one
        try:
            return Row(pointer, self.child.run_validation(body))
        except ValidationError as error:
            # The unchecked values, so that the result can name the row.
            named = body if isinstance(body, dict) else {}
            return Row(pointer, named, list(find_faults(error.detail, pointer)))

    def fail(self, key: str, **options: Any) -> Any:
        raise ValidationError([ErrorDetail(self.error_messages[key].format(**options), key)])


def refuse_rows(rows: Iterable[Row], hint: str = "") -> None:
    """Raise an error if any row has a fault: 409 if all faults come from what is stored, else 400."""
    faults = [fault for row in rows for fault in row.faults]
    if not faults:
        return
    if any(fault.code not in CLASHES for fault in faults):
        raise InvalidBody(faults, hint)
    first = faults[0]
    raise Conflict(f"{first.pointer or 'The body'}: {first.detail}", hint or CLASHES[first.code], faults)
