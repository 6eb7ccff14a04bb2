"""The OpenAPI document and its two HTML pages. A process builds the document once. All files come from this host."""

import hashlib
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from django.conf import settings
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

from config.api.reads.addresses import find_origin
from config.api.reads.parameters import check_parameters
from config.api.rendering.renderers import PROBLEM_TYPE, JSONRenderer, write_json

# One request builds the document while the others wait: drf-spectacular counts its warnings in a global.
LOCK = Lock()
# The server in the document as it is built.
[ANY_SERVER] = [str(server["url"]).encode() for server in settings.SPECTACULAR_SETTINGS["SERVERS"]]


def build_document() -> dict[str, Any]:
    """The document as Python values. Takes 30 ms and no query."""
    document: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return document


@cache
def write_document(format_: str) -> tuple[bytes, str]:
    """The document's bytes in a format (`json`, `yaml`) and their hash. Built once in a process."""
    document = publish(build_document())
    body = write_yaml(document) if format_ == "yaml" else write_json(document)
    return body, hashlib.blake2b(body, digest_size=12).hexdigest()


def publish(document: dict[str, Any]) -> dict[str, Any]:
    """The document as programs get it: its paths have no slash at their ends, as linters of documents ask for.

    Every path is answered with and without it.
    """
    paths = {path.rstrip("/"): operations for path, operations in document["paths"].items()}
    return document | {"paths": paths}


def write_server(format_: str, origin: str) -> tuple[bytes, str]:
    """The document for clients who reach this server under `origin`, and its ETag."""
    body, digest = write_document(format_)
    where = hashlib.blake2b(origin.encode(), digest_size=4).hexdigest()
    return body.replace(ANY_SERVER, origin.encode()), f'"{digest}.{where}"'


def write_yaml(document: dict[str, Any]) -> bytes:
    body: bytes = OpenApiYamlRenderer().render(document)
    return body


class OpenApiJson(JSONRenderer):
    """The document in OpenAPI's own media type, the default."""

    media_type = "application/vnd.oai.openapi+json"


class PlainJson(JSONRenderer):
    media_type = "application/json"


class OpenApiYaml(JSONRenderer):
    """The view writes the YAML itself; errors are JSON."""

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
            body, etag = write_server(request.accepted_renderer.format, find_origin(request))
        response: HttpResponse = HttpResponse(body, content_type=request.accepted_renderer.media_type)
        response["ETag"], response["Cache-Control"] = etag, "public, no-cache"
        patch_vary_headers(response, ["Accept", "Accept-Encoding"])
        return get_conditional_response(request._request, etag=etag, response=response) or response


# DRF answers OPTIONS with data, for which a page has no template.
PAGE_METHODS = ("get", "head")


class PageRenderer(TemplateHTMLRenderer):
    """Renders an HTML page. An error is a problem document here too."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        response = renderer_context["response"]
        if not response.exception:
            return super().render(data, accepted_media_type, renderer_context)
        response["Content-Type"] = PROBLEM_TYPE
        return write_json(data)


class SwaggerPage(SpectacularSwaggerSplitView):
    """Swagger UI: every operation, to try out on the page. Its script is a separate file, as our CSP requires."""

    authentication_classes = ()
    renderer_classes = [PageRenderer]
    http_method_names = PAGE_METHODS


# ReDoc loads one picture from another host. An offline machine couldn't reach that, and it would learn of readers.
FOREIGN_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
NO_PICTURE = b"data:image/gif;base64,R0lGODlhAQABAAAAACw="


@cache
def read_redoc() -> tuple[bytes, str]:
    """ReDoc's script without its foreign URL, and its hash."""
    path = find("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js")
    script = Path(str(path)).read_bytes().replace(FOREIGN_LOGO, NO_PICTURE)
    return script, hashlib.blake2b(script, digest_size=12).hexdigest()


class RedocPage(SpectacularRedocView):
    """ReDoc: the document for reading. `?script=HASH` is its script, which clients may cache for ever."""

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
