"""An operation in, its answers out: their headers and examples, and the errors by the kind of view."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import Serializer
from rest_framework.settings import api_settings

from config.api.schema import components
from config.api.schema.components import refer_to, refer_to_headers
from config.api.schema.kinds import Kind
from config.api.schema.names import WORDS
from config.api.writes.idempotency import REPLAYED

NEGOTIATION: Any = api_settings.DEFAULT_CONTENT_NEGOTIATION_CLASS


class Answers(Kind):
    """The answers of an operation."""

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

    def get_response_serializers(self) -> Any:
        """The answer to a write is the row, as GET would show it."""
        if self.shaped is not None and self.has_body and getattr(self.view, "action", "") in WORDS:
            return self.shaped.read_serializer
        return super().get_response_serializers()
