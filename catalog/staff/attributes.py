"""The attributes of a product as a form: an input for each declared one, by its type, and JSON for the others."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms

from catalog.models import Attribute

# The declared attributes that a page has inputs for. Others stay in the JSON below them.
MOST_INPUTS = 40
FLAGS = {"": None, "true": True, "false": False}


def list_declared() -> list[Attribute]:
    return list(Attribute.objects.order_by("name")[:MOST_INPUTS])


class AttributesWidget(forms.Widget):
    """`attributes` has the JSON of attributes that aren't declared, `attributes__volts` the value of a declared one."""

    template_name = "admin/attributes_widget.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        values = read_object(value)
        rest = dict(values or {})
        inputs = [
            {
                "name": f"{name}__{one.name}",
                "label": one.name,
                "type": one.type,
                "value": show(rest.pop(one.name, None)),
            }
            for one in list_declared()
        ]
        context["inputs"] = inputs
        context["rest"] = value if values is None else json.dumps(rest, ensure_ascii=False, indent=2) if rest else ""
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The JSON of both. A text that is no JSON object is returned as it is, for the field to refuse."""
        given = data.get(name)
        rest = read_object(given)
        if rest is None:
            return given
        types = {f"{name}__{one.name}": one for one in list_declared() if f"{name}__{one.name}" in data}
        typed = {one.name: read_typed(one.type, data[key].strip()) for key, one in types.items()}
        # A declared one that the JSON names wins: somebody wrote it there.
        return json.dumps({key: value for key, value in typed.items() if value is not None} | rest)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


def read_object(text: Any) -> dict[str, Any] | None:
    """The object of a JSON text, `{}` for an empty one; None if it is none."""
    if isinstance(text, Mapping):
        return dict(text)
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return None
    return {} if value is None else value if isinstance(value, dict) else None


def read_typed(kind: str, text: str) -> Any:
    """The value of an input; None for an empty one. What isn't of its type stays a text, which is refused later."""
    if kind == Attribute.Type.BOOLEAN:
        return FLAGS.get(text, text)
    if kind == Attribute.Type.NUMBER and text:
        try:
            number = json.loads(text)
        except ValueError:
            return text
        return number if isinstance(number, int | float) and not isinstance(number, bool) else text
    return text or None


def show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
