"""A view in, the parameters of its operations out, as OpenAPI describes them: in the query, in headers, in the path."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.forms import IntegerField
from django_filters import BaseCSVFilter, ChoiceFilter, Filter, NumberFilter

from config.api.models import ANSWER_HOURS
from config.api.reads.envelopes import describe_page_parameters
from config.api.reads.filtering import FlagFilter, MomentFilter
from config.api.reads.selections import find_fields, list_expandable
from config.api.schema.components import TEXT
from config.api.viewsets import ShapedViewSet
from config.api.writes.idempotency import GREATEST_KEY, HEADER, PATTERN, REPLAYED

IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An `ETag` of before: the answer is 304 while nothing has changed.",
    "schema": TEXT,
}

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The `ETag` that the change is made upon: 412, and nothing is written, where the version has moved.",
    "schema": TEXT,
    "example": 'W/"3.5f1c0b7d2a9e4c8f10"',
}

IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": (
        "Makes the request safe to repeat: sent again with the same key, address and body, it has no second effect and "
        f"gets the first one's answer, with `{REPLAYED}: true`. A success is kept for {ANSWER_HOURS} hours, an error "
        "is not."
    ),
    "schema": TEXT | {"minLength": 1, "maxLength": GREATEST_KEY, "pattern": f"^{PATTERN}$"},
}

# A number in a path, such as `[0-9]{1,18}`; the group is its greatest length.
DIGITS = re.compile(r"\[0-9\]\{1,(\d+)\}")
# A text of a fixed length in a path, such as `[0-9a-f]{16}`; any other text leads to no view.
MARK = re.compile(r"\[[0-9A-Za-z-]+\]\{\d+\}")


@dataclass(frozen=True)
class Described:
    """Parameters, given as drf-spectacular asks a filter backend for its own."""

    parameters: list[dict[str, Any]]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return self.parameters


def list_query_parameters(view: ShapedViewSet) -> Iterator[dict[str, Any]]:
    """The query parameters that the action of `view` knows, and the families of parameters (`attr.`)."""
    for name, described in describe_parameters(view).items():
        if name in view.known_parameters:
            # A form sends empty texts for what isn't filled in; only numbers may not be empty.
            empty = {} if described["schema"].get("type") == "integer" else {"allowEmptyValue": True}
            yield {"name": name, "in": "query"} | described | empty
    for prefix in view.open_parameters if view.is_list else ():
        yield describe_family(prefix)


def describe_parameters(view: ShapedViewSet) -> dict[str, dict[str, Any]]:
    """What each query parameter of `view` takes, in the order of the document."""
    filters: Mapping[str, Filter] = view.filterset_class.base_filters if view.filterset_class else {}
    described = {name: describe_filter(filter_) for name, filter_ in filters.items()}
    pages = view.pagination_class
    described |= {"ordering": describe_ordering(view)}
    described |= describe_page_parameters(pages.page_size, pages.max_page_size)
    return described | describe_projection(view)


def describe_ordering(view: ShapedViewSet) -> dict[str, Any]:
    schema = {"type": "string", "enum": list(view.orderings), "default": view.default_ordering}
    return {"description": "The order of the rows; `-` is descending.", "schema": schema}


def describe_projection(view: ShapedViewSet) -> dict[str, dict[str, Any]]:
    names, paths = list(find_fields(view.read_serializer)), list_expandable(view.read_serializer)
    texts = {"fields": ("Nothing but these members", names), "omit": ("All members but these", names)}
    if paths:
        listed = ", ".join(f"`{path}`" for path in paths)
        texts["expand"] = (f"Objects for slugs, and lists beside their addresses: {listed}", list(paths))
    return {name: describe_words(f"{text}.", words) for name, (text, words) in texts.items()}


def describe_words(text: str, words: list[str]) -> dict[str, Any]:
    """A comma-separated list of some of `words`."""
    schema = {"type": "array", "items": {"type": "string", "enum": words}}
    return {"description": text, "schema": schema, "style": "form", "explode": False}


def describe_filter(filter_: Filter) -> dict[str, Any]:
    schema = find_filter_type(filter_)
    described: dict[str, Any] = {"description": f"{filter_.label}.", "schema": schema}
    if isinstance(filter_, BaseCSVFilter):
        described |= {"schema": {"type": "array", "items": schema}, "style": "form", "explode": False}
    return described


def find_filter_type(filter_: Filter) -> dict[str, Any]:
    match filter_:
        case FlagFilter():
            return {"type": "boolean"}
        case ChoiceFilter():
            return {"type": "string", "enum": [value for value, _ in filter_.extra["choices"]]}
        case NumberFilter() if issubclass(filter_.field_class, IntegerField):
            return {"type": "integer"}
        case NumberFilter():
            return describe_amount(**filter_.extra)
        case MomentFilter():
            return {"type": "string", "format": "date-time"}
    return TEXT


def describe_amount(**options: Any) -> dict[str, Any]:
    bounds = {
        name: options[key] for name, key in (("minimum", "min_value"), ("maximum", "max_value")) if key in options
    }
    places = {"multipleOf": 10 ** -options["decimal_places"]} if "decimal_places" in options else {}
    return {"type": "number"} | bounds | places


def describe_family(prefix: str) -> dict[str, Any]:
    """`attr.NAME=value`: an object whose every member is a parameter of its own."""
    names = {"propertyNames": {"pattern": f"^{re.escape(prefix)}.+$"}, "additionalProperties": TEXT}
    return {
        "name": f"{prefix}NAME",
        "in": "query",
        "description": f"Any number of `{prefix}NAME=value`, each by the name of a declared attribute.",
        "schema": {"type": "object"} | names,
        "style": "form",
        "explode": True,
        "example": {},  # Swagger UI would make one up and send it
    }


def read_path_type(route: str, name: str) -> dict[str, Any] | None:
    """The type of a variable in a path; None if the path has no such variable.

    Its regular expression says whether it is a number (`[0-9]{1,18}`); everything else is a text.
    """
    for group, pattern in re.findall(r"\(\?P<(\w+)>((?:[^()]|\([^()]*\))+)\)", route):
        if group == name or (group, name) == ("pk", "id"):
            if digits := DIGITS.fullmatch(pattern):
                return {"type": "integer", "minimum": 0, "maximum": 10 ** int(digits[1]) - 1}
            return TEXT | ({"pattern": f"^{pattern}$"} if MARK.fullmatch(pattern) else {})
    return None
