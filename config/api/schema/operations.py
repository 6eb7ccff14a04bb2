"""A view in, its operations in the OpenAPI document out, with details that drf-spectacular can't find by itself.

Parameters come from the view's `known_parameters` (parameters.py), pages from its pagination, shapes from its read
serializer (members.py), errors from the kind of view (kinds.py, answers.py). Nothing is listed by route.
"""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.conf import settings
from rest_framework.serializers import ListSerializer

from config.api.schema import components, schemes  # noqa: F401 (drf-spectacular finds loaded schemes)
from config.api.schema.answers import Answers
from config.api.schema.enums import share_enums
from config.api.schema.members import Members
from config.api.schema.names import VERBS, WORDS, name_operation
from config.api.schema.parameters import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    Described,
    list_query_parameters,
    read_path_type,
)
from config.api.schema.samples import add_samples
from config.api.schema.shapes import describe_lengths
from config.api.schema.tags import add_tags


class Schema(Answers, Members):
    """One operation: a method of a view at a path."""

    # -- words ---------------------------------------------------------------------------------------------------

    def get_operation_id(self) -> str:
        action = getattr(self.view, "action", None)
        if action not in VERBS:
            action = "list" if self._is_list_view() else self.method_mapping[self.method.lower()]
        return name_operation(self.path.removeprefix(settings.SPECTACULAR_SETTINGS["SCHEMA_PATH_PREFIX"]), action)

    def get_operation(self, *place: Any) -> Any:
        """drf-spectacular's operation, with more details of the path, the body and the answers."""
        operation: Any = super().get_operation(*place)
        if operation is not None:
            self.describe_path(operation.get("parameters", []))
            self.describe_body(operation.get("requestBody", {}))
            operation["responses"] = self.describe_answers(operation["responses"])
        return operation

    def get_tags(self) -> list[str]:
        return super().get_tags() or ["api"]

    def get_summary(self) -> str:
        action = getattr(self.view, "action", "")
        if action in WORDS and (model := self.find_model()) is not None:
            one = str(model._meta.verbose_name)
            article = "an" if one[0] in "aeio" else "a"  # "a user"
            names = {"one": f"{article} {one}", "many": model._meta.verbose_name_plural}
            return WORDS[action].format(**names)
        return re.split(r"[.:;]\s|\.$", self.get_description())[0].replace("`", "")

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's, without DRF's arguments
        """The view's docstring, or for a non-standard action the method's; and the scope below it."""
        is_standard = getattr(self.view, "action", "") in WORDS
        words = (inspect.getdoc(type(self.view)) if is_standard else super().get_description()) or ""
        return f"{words}\n\nA token needs the scope `{self.scope}`." if self.scope else words

    # -- parameters ----------------------------------------------------------------------------------------------

    def get_filter_backends(self) -> list[Any]:
        """The view's own backends, and one of ours that has the query parameters and the headers."""
        own = [] if self.shaped else super().get_filter_backends()
        return [*own, lambda: Described(list(self.list_parameters()))]

    def list_parameters(self) -> Iterator[dict[str, Any]]:
        if self.shaped:
            yield from list_query_parameters(self.shaped)
        if self.is_repeatable:
            yield IDEMPOTENCY_KEY
        if self.may_be_unchanged:
            yield IF_NONE_MATCH
        if self.is_conditional_write:
            yield IF_MATCH

    def describe_path(self, parameters: list[dict[str, Any]]) -> None:
        for parameter in parameters:
            if parameter["in"] == "path":
                parameter["schema"] = read_path_type(self.path_regex, parameter["name"]) or parameter["schema"]
                parameter["example"] = self.find_variable(parameter["name"], parameter["schema"])

    def find_variable(self, name: str, schema: dict[str, Any]) -> Any:
        """A variable of the path as the operation's first example has it, or one like it."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/?]+)", re.escape(self.path))
        example = components.find_example(self.get_operation_id())
        found = re.match(rf"\w+ {pattern}", example.get("request", ""))
        length = re.search(r"\{(\d+)\}\$", schema.get("pattern", ""))
        text = found[name] if found else "1" * int(length[1] if length else 1)
        return int(text) if schema.get("type") == "integer" else text

    # -- body ----------------------------------------------------------------------------------------------------

    def describe_body(self, body: dict[str, Any]) -> None:
        rows = self.get_request_serializer()
        for media_type, content in body.get("content", {}).items():
            if isinstance(rows, ListSerializer):
                content["schema"] |= describe_lengths(rows)
            # The stored examples are JSON; a form has other members.
            for status in (HTTPStatus.OK, HTTPStatus.CREATED) if media_type == "application/json" else ():
                content.update(components.build_examples(f"{self.get_operation_id()}_{status}", "body"))

    def get_request_serializer(self) -> Any:
        return super().get_request_serializer() if self.has_body else None


def add_components(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook for drf-spectacular: adds components to which operations refer, tags, samples, and the table of codes."""
    for kind, named in components.build_components(result["paths"]).items():
        result["components"].setdefault(kind, {}).update(named)
    share_enums(result)
    add_tags(result)
    add_samples(result)
    codes = f"<details><summary>All of them</summary>\n\n{components.write_codes()}\n\n</details>"
    result["info"]["description"] += f"\n\n## Error codes\n\n{codes}\n"
    return result
