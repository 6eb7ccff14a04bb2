"""A view in, the OpenAPI parameters of its operations out: of the query, the headers and the path."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.forms import DecimalField
from django_filters import ChoiceFilter, Filter, NumberFilter

from config.api.models import ANSWER_HOURS
from config.api.reads.envelopes import describe_page_parameters
from config.api.reads.filtering import FlagFilter, ListFilter, MomentFilter
from config.api.reads.selections import find_fields, list_expandable
from config.api.schema.components import TEXT
from config.api.viewsets import ShapedViewSet
from config.api.writes.idempotency import GREATEST_KEY, HEADER, PATTERN, REPLAYED

IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of an earlier answer: the answer is 304 if nothing has changed.",
    "schema": TEXT,
}

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The `ETag` of the row that you change. If it has another version: 412, and nothing is written.",
    "schema": TEXT,
    "example": 'W/"3.5f1c0b7d2a9e4c8f10"',
}

IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": (
        "Makes the request safe to repeat. If it is sent again with the same key, address and body, it has no second "
        f"effect and gets the first answer, with `{REPLAYED}: true`. A success is stored for {ANSWER_HOURS} hours, an "
        "error is not."
    ),
    "schema": TEXT | {"minLength": 1, "maxLength": GREATEST_KEY, "pattern": f"^{PATTERN}$"},
}

# The digits before and after the dot of an amount whose filter names no limit. More are accepted.
USUAL_DIGITS, USUAL_PLACES = 10, 4
# The pattern of a number in a path, such as `[0-9]{1,18}`. The group is its greatest length.
DIGITS = re.compile(r"\[0-9\]\{1,(\d+)\}")
# The pattern of a text of fixed length in a path, such as `[0-9a-f]{16}`.
MARK = re.compile(r"\[[0-9A-Za-z-]+\]\{\d+\}")


@dataclass(frozen=True)
class Described:
    """Parameters in the form of a filter backend, from which drf-spectacular reads them."""

    parameters: list[dict[str, Any]]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return self.parameters


def list_query_parameters(view: ShapedViewSet) -> Iterator[dict[str, Any]]:
    """The query parameters of the view's action, and its families of parameters (`attr.`)."""
    for name, described in describe_parameters(view).items():
        if name in view.known_parameters:
            # HTML forms send empty texts for empty fields. Only numbers may not be empty.
            empty = {} if described["schema"].get("type") == "integer" else {"allowEmptyValue": True}
            yield {"name": name, "in": "query"} | described | empty
    for prefix in view.open_parameters if view.is_list else ():
        yield describe_family(prefix)


def describe_parameters(view: ShapedViewSet) -> dict[str, dict[str, Any]]:
    """The description of each query parameter of `view`, in the order of the document."""
    filters: Mapping[str, Filter] = view.filterset_class.base_filters if view.filterset_class else {}
    described = {name: describe_filter(filter_) for name, filter_ in filters.items()}
    pages = view.pagination_class
    described |= {"ordering": describe_ordering(view)}
    described |= describe_page_parameters(pages.page_size, pages.max_page_size)
    return described | describe_projection(view)


def describe_ordering(view: ShapedViewSet) -> dict[str, Any]:
    schema = {"type": "string", "enum": list(view.orderings)}
    # No `default` in the schema: some clients send it, and then a search has no order by rank.
    text = (
        f"The order of the rows; `-` means descending. Without it: `{view.default_ordering}`, or by rank in a search."
    )
    return {"description": text, "schema": schema}


def describe_projection(view: ShapedViewSet) -> dict[str, dict[str, Any]]:
    names, paths = list(find_fields(view.read_serializer)), list_expandable(view.read_serializer)
    members, parts = (name_enum(view.read_serializer, kind) for kind in ("Member", "Part"))
    texts = {"fields": ("Only these members", names, members), "omit": ("All members except these", names, members)}
    if paths:
        listed = ", ".join(f"`{path}`" for path in paths)
        text = f"Show objects instead of slugs, and lists in addition to their URLs: {listed}"
        texts["expand"] = (text, list(paths), parts)
    return {name: describe_words(f"{text}.", words, title) for name, (text, words, title) in texts.items()}


def name_enum(serializer: type[Any], kind: str) -> str:
    """The component of the names that `fields` or `expand` takes, such as `ProductMember` (enums.py)."""
    return re.sub(r"(Read)?$", kind, serializer.__name__, count=1)


def describe_words(text: str, words: list[str], title: str) -> dict[str, Any]:
    """A comma-separated list of some of `words`."""
    schema = {"type": "array", "items": {"type": "string", "enum": words, "title": title}}
    return {"description": text, "schema": schema, "style": "form", "explode": False}


def describe_filter(filter_: Filter) -> dict[str, Any]:
    schema = find_filter_type(filter_)
    described: dict[str, Any] = {"description": f"{filter_.label}.", "schema": schema}
    if isinstance(filter_, ListFilter):
        several = {"type": "array", "items": schema, "maxItems": filter_.extra["most"]}
        described |= {"schema": several, "style": "form", "explode": False}
    return described


def find_filter_type(filter_: Filter) -> dict[str, Any]:
    match filter_:
        case FlagFilter():
            return {"type": "boolean"}
        case ChoiceFilter():
            return {"type": "string", "enum": [value for value, _ in filter_.extra["choices"]]}
        # Django's field of decimals is a subclass of that of integers.
        case NumberFilter() if not issubclass(filter_.field_class, DecimalField):
            return {"type": "integer", "format": "int64"}
        case NumberFilter():
            return describe_amount(filter_.field)
        case MomentFilter():
            return {"type": "string", "format": "date-time"}
    return TEXT


def describe_amount(field: Any) -> dict[str, Any]:
    """A text, so that no client sends it as a binary fraction."""
    sign = "" if field.min_value is not None and field.min_value >= 0 else "-?"
    places = field.decimal_places or USUAL_PLACES
    whole = field.max_digits - places if field.max_digits else USUAL_DIGITS
    return TEXT | {"pattern": rf"^{sign}[0-9]{{1,{whole}}}(\.[0-9]{{1,{places}}})?$"}


def describe_family(prefix: str) -> dict[str, Any]:
    """A family such as `attr.NAME=value`: an object, each of whose members is a parameter."""
    names = {"propertyNames": {"pattern": f"^{re.escape(prefix)}.+$"}, "additionalProperties": TEXT}
    return {
        "name": f"{prefix}NAME",
        "in": "query",
        "description": f"Any number of `{prefix}NAME=value`, where NAME is a declared attribute.",
        "schema": {"type": "object"} | names,
        "style": "form",
        "explode": True,
        "example": {},  # otherwise Swagger UI makes one up and sends it
    }


def read_path_type(route: str, name: str) -> dict[str, Any] | None:
    """The type of a variable in a path; None if the path has no such variable.

    The regular expression tells whether it is a number (`[0-9]{1,18}`); all others are texts.
    """
    for group, pattern in re.findall(r"\(\?P<(\w+)>((?:[^()]|\([^()]*\))+)\)", route):
        if group == name or (group, name) == ("pk", "id"):
            if digits := DIGITS.fullmatch(pattern):
                return {"type": "integer", "format": "int64", "minimum": 0, "maximum": 10 ** int(digits[1]) - 1}
            return TEXT | ({"pattern": f"^{pattern}$"} if MARK.fullmatch(pattern) else {})
    return None
