"""A view in, its operations in the OpenAPI document out, with details that drf-spectacular can't find by itself.

Parameters come from the view's `known_parameters` (parameters.py), pages from its pagination, shapes from its read
serializer (shapes.py), errors from the kind of view. Nothing is listed by route.
"""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import product
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import DecimalField, JSONField, ListSerializer, ModelSerializer, Serializer
from rest_framework.settings import api_settings

from config.api.access.permissions import PublicRead
from config.api.access.scopes import find_scope
from config.api.reads.conditional import list_version_columns
from config.api.reads.pagination import ListPagination
from config.api.reads.selections import find_nested
from config.api.schema import components
from config.api.schema.components import refer_to, refer_to_headers
from config.api.schema.enums import share_enums
from config.api.schema.names import VERBS, name_operation
from config.api.schema.parameters import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    Described,
    list_query_parameters,
    read_path_type,
)
from config.api.schema.samples import add_samples
from config.api.schema.shapes import describe_lengths, describe_nested, holds_objects, write_decimal_pattern
from config.api.schema.tags import add_tags
from config.api.viewsets import ShapedViewSet, WriteMixin
from config.api.writes.bodies import StrictSerializer
from config.api.writes.idempotency import REPLAYED, RepeatablePost

WORDS = {
    "list": "List {many}",
    "retrieve": "Read {one}",
    "create": "Create {one}",
    "update": "Replace {one}",
    "partial_update": "Change {one}",
    "destroy": "Delete {one}",
}

# What drf-spectacular writes for members of answers, and we remove: readers don't need it, and limits may differ.
NOT_SHOWN = ("readOnly", "default", "minimum", "maximum")

NEGOTIATION: Any = api_settings.DEFAULT_CONTENT_NEGOTIATION_CLASS


class TokenScheme(OpenApiAuthenticationExtension):
    """Knox's token authentication and its subclasses."""

    target_class = "knox.auth.TokenAuthentication"
    match_subclasses = True
    priority = 1
    name = "apiToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        description = "The key as it was printed. The header may also be `Authorization: Token 0123456789abcdef…`."
        return {"type": "http", "scheme": "bearer", "description": description}


class SessionScheme(OpenApiAuthenticationExtension):
    """Django's sessions, which the browsable API and the admin use."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    match_subclasses = True
    priority = 1
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        description = "The session cookie of the browsable API and the admin. A browser sends it by itself."
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": description}


class Schema(AutoSchema):
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

    def find_model(self) -> Any:
        rows = getattr(self.view, "queryset", None)
        return None if rows is None else rows.model

    # -- parameters ----------------------------------------------------------------------------------------------

    @property
    def shaped(self) -> ShapedViewSet | None:
        return self.view if isinstance(self.view, ShapedViewSet) else None

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

    # -- who -----------------------------------------------------------------------------------------------------

    def get_auth(self) -> list[dict[str, Any]]:
        schemes: list[dict[str, Any]] = super().get_auth()
        return [{}, *(scheme for scheme in schemes if scheme)] if self.is_public else schemes

    @property
    def scope(self) -> str | None:
        """The scope that a token needs; "" or None if there is none."""
        return find_scope(self.view, self.method) if self.view.get_authenticators() else None

    @property
    def is_public(self) -> bool:
        permissions = self.view.get_permissions()
        open_to_read = any(isinstance(permission, PublicRead) for permission in permissions)
        return (open_to_read and self.method in SAFE_METHODS) or {} in super().get_auth()

    # -- answers -------------------------------------------------------------------------------------------------

    @property
    def is_tagged(self) -> bool:
        """Whether the answer is a read with its own ETag."""
        shaped, action = self.shaped, getattr(self.view, "action", "")
        return shaped is not None and self.method == "GET" and action in (*shaped.planned, *shaped.gated)

    @property
    def shows_row(self) -> bool:
        """Whether the answer is a row, which has an ETag."""
        rows = ("retrieve", "create", "update", "partial_update")
        return self.shaped is not None and getattr(self.view, "action", "") in rows

    @property
    def may_be_unchanged(self) -> bool:
        return self.method == "GET" and (self.is_tagged or self.shows_row)

    @property
    def is_conditional_write(self) -> bool:
        """Whether the operation changes a row that has a version."""
        is_write = isinstance(self.view, WriteMixin) and self.method in self.view.conditional_methods
        return is_write and bool(list_version_columns(self.find_model()))

    @property
    def is_repeatable(self) -> bool:
        return isinstance(self.view, RepeatablePost) and self.view.stores_answers and self.method == "POST"

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def is_paged(self) -> bool:
        return self.shaped.is_list if self.shaped else isinstance(self._get_paginator(), ListPagination)

    def get_paginated_name(self, serializer_name: str) -> str:
        return f"{serializer_name}Page"

    def get_serializer_name(self, serializer: Serializer[Any], direction: str) -> str:
        """`ProductRead` becomes `Product`, and `ProductWrite` becomes `ProductRequest`."""
        return re.sub(r"(Read|Write)$", "", type(serializer).__name__)

    def describe_answers(self, bodies: dict[str, Any]) -> dict[str, Any]:
        for status, body in bodies.items():
            body["description"] = str(body["description"]) or HTTPStatus(int(status)).phrase
            body["headers"] = refer_to_headers(*self.list_headers(int(status))) | body.get("headers", {})
            self.add_examples(status, body)
        bodies |= {"304": refer_to("responses", "NotModified")} if self.may_be_unchanged else {}
        bodies |= {str(int(status)): refer_to("responses", f"Problem{status}") for status in self.list_refusals()}
        return dict(sorted(bodies.items()))

    def describe_body(self, body: dict[str, Any]) -> None:
        rows = self.get_request_serializer()
        for content in body.get("content", {}).values():
            if isinstance(rows, ListSerializer):
                content["schema"] |= describe_lengths(rows)
            for status in (HTTPStatus.OK, HTTPStatus.CREATED):
                content.update(components.build_examples(f"{self.get_operation_id()}_{status}", "body"))

    def add_examples(self, status: str, body: dict[str, Any]) -> None:
        for content in body.get("content", {}).values():
            content.update(components.build_examples(f"{self.get_operation_id()}_{status}"))

    def list_headers(self, status: int) -> Iterator[str]:
        yield from components.EVERYWHERE
        if self.method == "GET":
            yield "X-Cache"
        if self.is_paged and self._is_list_view():
            yield "Link"
        if (self.is_tagged or self.shows_row) and status != HTTPStatus.NO_CONTENT:
            yield from ("ETag", "Cache-Control")
        if status == HTTPStatus.CREATED:
            yield "Location"
        # The view's own headers.
        yield from getattr(self.view, "answer_headers", ())
        if self.is_repeatable:
            yield REPLAYED

    def list_refusals(self) -> Iterator[int]:
        yield from (HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
        # The view's own errors.
        yield from getattr(self.view, "refusals", ())
        if self.view.get_authenticators():
            yield HTTPStatus.UNAUTHORIZED
            # Also if anybody may read: a token may lack the scope.
            yield HTTPStatus.FORBIDDEN
        if "{" in self.path:
            yield HTTPStatus.NOT_FOUND
        if self.view.content_negotiation_class is NEGOTIATION:
            yield HTTPStatus.NOT_ACCEPTABLE
        yield from self.list_refusals_of_writes()
        if self.view.get_throttles():
            yield HTTPStatus.TOO_MANY_REQUESTS

    def list_refusals_of_writes(self) -> Iterator[int]:
        if self.method not in SAFE_METHODS:
            yield HTTPStatus.CONFLICT
        if self.is_conditional_write:
            yield HTTPStatus.PRECONDITION_FAILED
        if self.has_body:
            yield from (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if self.is_repeatable:
            yield HTTPStatus.UNPROCESSABLE_ENTITY

    def get_request_serializer(self) -> Any:
        return super().get_request_serializer() if self.has_body else None

    def get_response_serializers(self) -> Any:
        """The answer to a write is the row, as GET would show it."""
        if self.shaped is not None and self.has_body and getattr(self.view, "action", "") in WORDS:
            return self.shaped.read_serializer
        return super().get_response_serializers()

    # -- shapes --------------------------------------------------------------------------------------------------

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if direction == "response" and self.shaped is not None and isinstance(serializer, ModelSerializer):
            # `fields` and `omit` may leave out any member.
            schema.pop("required", None)
            for described, name in product(schema["properties"].values(), NOT_SHOWN):
                described.pop(name, None)
        if direction == "request":
            tell_defaults(schema["properties"])
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _map_serializer_field(self, field: Any, direction: str, bypass_extensions: bool = False) -> Any:
        schema: Any = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, DecimalField) and isinstance(schema, dict) and "pattern" in schema:
            schema["pattern"] = write_decimal_pattern(field, direction)
            # With `format: decimal` some generators make a binary fraction of it.
            schema.pop("format", None)
        if isinstance(schema, dict) and schema.get("type") in ("integer", ["integer", "null"]):
            schema.setdefault("format", "int64")
        if isinstance(field, ListSerializer) and direction == "request":
            schema |= describe_lengths(field)
        if isinstance(field, JSONField) and holds_objects(field):
            return {"type": "object", "additionalProperties": {}}
        if direction == "response" and self.shaped is not None and find_nested(field) is not None:
            return describe_nested(field, schema)
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)
        if "\\w" in schema.get("pattern", ""):
            # \w means all alphabets in Python, but only A to Z in JSON Schema (ECMAScript).
            del schema["pattern"]
            schema["description"] = "Letters and digits of any alphabet, `-` and `_`."


def tell_defaults(members: dict[str, Any]) -> None:
    """Put the defaults of a body into words: with the keyword `default`, openapi-typescript demands the member."""
    for described in members.values():
        default = described.pop("default", None)
        if default not in (None, "", {}, []):
            words = f"Default: `{str(default).lower() if isinstance(default, bool) else default}`."
            described["description"] = f"{described.get('description', '')} {words}".strip()


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
