"""Data in, bytes out: JSON by orjson, HTML for people."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
from django.contrib import messages
from django.http.request import MediaType
from django.utils.duration import duration_iso_string
from django.utils.safestring import mark_safe
from drf_orjson_renderer.renderers import ORJSONRenderer
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request

from config.api.rendering.forms import ROW_METHODS, find_text, place_faults, read_sent
from config.api.rendering.pager import Pager
from config.process.bounded import BoundedMap

if TYPE_CHECKING:
    # APIView itself imports this module, by the settings.
    from rest_framework.views import APIView

PROBLEM_TYPE = "application/problem+json"
# The chosen renderer, as its index and media type, by Accept header and renderers.
KEPT_CHOICES: BoundedMap[Any, tuple[int, str]] = BoundedMap(256)
# Characters; a browser's Accept header has 150. The choice for a longer one isn't kept.
LONGEST_CHOICE = 512
# A longer one isn't read: the 30,000 ranges of 125 kB took a second of the processor.
LONGEST_ACCEPT = 4_096


class JSONRenderer(ORJSONRenderer):
    """drf-orjson-renderer's, with `Z` times, whole-number keys, durations, bytes, and errors as problem+json.

    The package writes null for values that it doesn't know. Here they raise TypeError.
    """

    options = ORJSONRenderer.options | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z

    @staticmethod
    def default(obj: Any) -> Any:
        """Convert a value that orjson doesn't know. Raises TypeError for an unknown object, since it is our mistake."""
        match obj:
            case Decimal():  # the first case, since all prices are decimals and the test for Mapping is slow
                return str(obj)
            case timedelta():
                return duration_iso_string(obj)
            case bytes():
                return obj.decode()
            case Mapping():
                return dict(obj)
        if (known := ORJSONRenderer.default(obj)) is None:
            raise TypeError(f"{type(obj).__name__} can't be written as JSON")
        return known

    def render(self, data: Any, media_type: str | None = None, renderer_context: Any = None) -> bytes:
        began = time.perf_counter()
        context = renderer_context or {}
        # The browsable API wants indented text.
        readable = self.html_media_type in (media_type or "") or "indent" in context
        body: bytes = super().render(data, self.media_type, context)
        if readable and body:
            # Parse the bytes again: rows that the database wrote as JSON are text, and have no structure yet.
            body = super().render(orjson.loads(body), self.html_media_type, context)
        if (response := context.get("response")) is not None:
            response.render_seconds = time.perf_counter() - began
            if getattr(response, "exception", False) and not readable:
                response["Content-Type"] = PROBLEM_TYPE
        return body


def write_json(data: Any) -> bytes:
    """JSON as the renderer writes it, for use outside a Response."""
    return orjson.dumps(data, default=JSONRenderer.default, option=JSONRenderer.options)


# The Accept headers of programs that want JSON, or anything.
PLAIN_WISHES = ("", "*/*", "application/json")


def is_json_accepted(accept: str, renderers: Sequence[Any]) -> bool:
    """Whether an Accept header is known to choose plain JSON among `renderers`; false for one that is new."""
    if accept in PLAIN_WISHES and renderers[0] is JSONRenderer:
        return True
    index, media_type = KEPT_CHOICES.get((accept, tuple(renderers)), (-1, ""))
    return media_type == JSONRenderer.media_type and renderers[index] is JSONRenderer


class HTMLRenderer(BrowsableAPIRenderer):
    """The browsable API. Second in the list, so `*/*` gets JSON."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        if renderer_context["response"].status_code == HTTPStatus.NO_CONTENT:
            return self.lead_back(renderer_context)
        return super().render(data, accepted_media_type, renderer_context)

    def lead_back(self, context: Mapping[str, Any]) -> bytes:
        """Redirect to the page above with a sentence: an answer without a body may be about a row that is gone."""
        request, response = context["request"], context["response"]
        places = [address for _, address in self.get_breadcrumbs(request)]
        is_left = bool(context["view"].kwargs) or "GET" not in context["view"].allowed_methods
        done = "Deleted" if request.method == "DELETE" else "Done"
        messages.success(request._request, f"{done}: {request.path}", fail_silently=True)
        response.status_code, response["Location"] = HTTPStatus.SEE_OTHER, places[-2 if is_left else -1]
        return b""

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        context = super().get_context(data, accepted_media_type, renderer_context)
        view, request = renderer_context["view"], renderer_context["request"]
        if renderer_context["response"].exception:
            # DRF shows the JSON renderer's usual type, also for an error.
            context["response_headers"]["Content-Type"] = PROBLEM_TYPE
            context |= {"problem": data, "faults": place_faults(data, read_sent(request) or "")}
        # What a view adds to the page of its answer.
        added = view.add_to_page(data) if hasattr(view, "add_to_page") else {}
        return context | {"paginator": Pager.of(data, view, request)} | added

    def get_description(self, view: APIView, status_code: int) -> str:
        """DRF's description, with `code` as HTML; DRF reads no Markdown without another package."""
        escaped = super().get_description(view, status_code)
        return mark_safe(re.sub("`([^`]+)`", r"<code>\1</code>", escaped))  # noqa: S308  # DRF has escaped it

    def get_filter_form(self, data: Any, view: APIView, request: Request) -> Any:
        """DRF's filter form. It is also shown with a 400, so that the user can correct a filter; DRF leaves it out."""
        status = self.renderer_context["response"].status_code  # type: ignore[attr-defined]  # DRF sets it in render()
        if status == HTTPStatus.BAD_REQUEST and request.method == "GET" and getattr(view, "is_list", False):
            data = {"results": []}
        return super().get_filter_form(data, view, request)

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        """DRF's form, with a body that is valid, or with the body that was refused.

        For PUT and PATCH DRF needs the instance, which an answer that the database wrote doesn't have.
        """
        failed = self.renderer_context["response"].exception  # type: ignore[attr-defined]  # DRF sets it in render()
        if method in ROW_METHODS and not failed and self.show_form_for_method(view, method, request, None):
            data = SimpleNamespace(serializer=SimpleNamespace(instance=view.get_object()))
        form = super().get_raw_data_form(data, view, method, request)
        if form is not None and (text := find_text(request, method, failed)) is not None:
            form.initial["_content"] = text
        return form


class Negotiation(DefaultContentNegotiation):
    """Chooses only by the Accept header, with its weights, which DRF ignores. An empty header accepts anything.

    Clients send few different headers, so the choices are kept.
    """

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        kinds = tuple(type(renderer) for renderer in renderers)
        key = (request.META.get("HTTP_ACCEPT", ""), kinds)
        if (found := KEPT_CHOICES.get(key)) is None:
            wanted = keep_weightiest(self.get_accept_list(request), renderers)
            renderer, media_type = super().select_renderer(request, wanted, format_suffix)
            found = (renderers.index(renderer), media_type)
            if len(key[0]) <= LONGEST_CHOICE:
                KEPT_CHOICES.keep(key, found)
        return renderers[found[0]], found[1]

    def get_accept_list(self, request: Request) -> list[str]:
        header = request.META.get("HTTP_ACCEPT", "")
        if len(header) > LONGEST_ACCEPT:
            raise NotAcceptable(f"The Accept header has more than {LONGEST_ACCEPT:,} characters.")
        return read_ranges(header)

    def get_format_suffix(self, request: Request) -> None:
        return None


def read_ranges(header: str) -> list[str]:
    """The ranges of an Accept header: `*/*` of an empty one, none of one that is too long."""
    return [kind.strip() for kind in (header or "*/*").split(",")] if len(header) <= LONGEST_ACCEPT else []


def keep_weightiest(ranges: Sequence[str], renderers: Sequence[Any]) -> list[Any]:
    """The renderers with the greatest weight, which must be more than 0 (RFC 9110, 12.5.1)."""
    weights = [weigh(ranges, renderer.media_type)[0] for renderer in renderers]
    best = max(weights, default=0.0)
    return [renderer for renderer, weight in zip(renderers, weights, strict=True) if weight == best and weight > 0]


def weigh(ranges: Sequence[str], media_type: str) -> tuple[float, int]:
    """The weight (0 to 1) of the most specific range of an Accept header that the media type matches.

    The second number says how specific it is: `text/html` more than `*/*`.
    """
    matching = [kind for kind in map(MediaType, ranges) if kind.match(media_type)]
    found = max(matching, key=lambda kind: kind.specificity, default=None)
    return (found.quality, found.specificity) if found else (0.0, 0)


class AnyAccept(Negotiation):
    """Ignores `Accept`, since the path names the format. Errors are JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        [renderer] = renderers
        return renderer, str(renderer.media_type)
