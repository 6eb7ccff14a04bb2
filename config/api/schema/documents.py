"""The OpenAPI document and its two pages for people: made once a process, served with an ETag, from this host alone."""

import hashlib
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from django.contrib.staticfiles.finders import find
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from config.api.reads.parameters import check_parameters
from config.api.rendering.renderers import PROBLEM_TYPE, JSONRenderer, write_json

# Made by one request while the others wait: drf-spectacular counts its warnings in a global.
LOCK = Lock()


def build_document() -> dict[str, Any]:
    """The document as Python values, without a query; 30 ms."""
    document: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return document


@cache
def write_document(format_: str) -> tuple[bytes, str]:
    """The document's bytes in a format (`json`, `yaml`) and their ETag; made once, however often it is asked for."""
    document = build_document()
    body = write_yaml(document) if format_ == "yaml" else write_json(document)
    return body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def write_yaml(document: dict[str, Any]) -> bytes:
    body: bytes = OpenApiYamlRenderer().render(document)
    return body


class OpenApiJson(JSONRenderer):
    """The document for whoever takes anything."""

    media_type = "application/vnd.oai.openapi+json"


class PlainJson(JSONRenderer):
    media_type = "application/json"


class OpenApiYaml(JSONRenderer):
    """Its body is the view's own; what is refused is refused in JSON."""

    media_type = "application/vnd.oai.openapi"
    format = "yaml"


class PlainYaml(OpenApiYaml):
    media_type = "application/yaml"


class Document(APIView):
    """This document: JSON, or YAML for `Accept: application/yaml`."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    renderer_classes = (OpenApiJson, PlainJson, OpenApiYaml, PlainYaml)

    @extend_schema(responses={200: {"type": "object", "additionalProperties": {}}})
    def get(self, request: Request) -> HttpResponseBase:
        check_parameters(request.query_params, ())
        with LOCK:
            body, etag = write_document(request.accepted_renderer.format)
        response: HttpResponse = HttpResponse(body, content_type=request.accepted_renderer.media_type)
        response["ETag"], response["Cache-Control"] = etag, "public, no-cache"
        patch_vary_headers(response, ["Accept", "Accept-Encoding"])
        return get_conditional_response(request._request, etag=etag, response=response) or response


# DRF answers OPTIONS with data, for which a page has no template.
PAGE_METHODS = ("get", "head")


class PageRenderer(TemplateHTMLRenderer):
    """A page for people; what is refused is a problem document here too."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        response = renderer_context["response"]
        if not response.exception:
            return super().render(data, accepted_media_type, renderer_context)
        response["Content-Type"] = PROBLEM_TYPE
        return write_json(data)


class SwaggerPage(SpectacularSwaggerSplitView):
    """Swagger UI: every operation, tried out on the page. Its script is a second request, as our policy asks."""

    authentication_classes = ()
    renderer_classes = [PageRenderer]
    http_method_names = PAGE_METHODS


# One picture of ReDoc's lies on another host, which an offline machine doesn't reach and which would learn of readers.
FOREIGN_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
NO_PICTURE = b"data:image/gif;base64,R0lGODlhAQABAAAAACw="


@cache
def read_redoc() -> tuple[bytes, str]:
    """ReDoc's script without its one foreign address, and its hash."""
    path = find("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js")
    script = Path(str(path)).read_bytes().replace(FOREIGN_LOGO, NO_PICTURE)
    return script, hashlib.blake2b(script, digest_size=12).hexdigest()


class RedocPage(SpectacularRedocView):
    """ReDoc: the same, made for reading. `?script=HASH` is its script, for ever."""

    authentication_classes = ()
    renderer_classes = [PageRenderer]
    http_method_names = PAGE_METHODS

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "script" in request.query_params:
            headers = {"Cache-Control": "public, max-age=31536000, immutable"}
            return HttpResponse(read_redoc()[0], content_type="text/javascript", headers=headers)
        page: HttpResponseBase = super().get(request, *args, **kwargs)
        return page

    @staticmethod
    def _redoc_standalone() -> str:
        return f"?script={read_redoc()[1]}"
