"""Streamed exports: a request in, a file out. Errors of the request come before the file begins."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from config.api.access.permissions import HasRight
from config.api.access.scopes import EXPORTS
from config.api.reads import selections
from config.api.reads.addresses import find_origin
from config.api.reads.parameters import read_number
from config.api.reads.resources import Resource
from config.api.reads.selections import find_model
from config.api.rendering.encodings import choose_coding, compress_blocks
from config.api.rendering.renderers import AnyAccept, JSONRenderer
from config.api.viewsets import ShapedViewSet
from exports.formats.encoders import Format
from exports.formats.tallies import Tally
from exports.rows.chunks import Query, make_query
from exports.streaming.hangups import ClientConnection
from exports.streaming.slots import SLOTS
from exports.streaming.streams import Body, record_stream, stream_rows

GREATEST_AFTER = 10**12 - 1

AFTER = OpenApiParameter(
    "after",
    {"type": "integer", "minimum": 0, "maximum": GREATEST_AFTER},
    description="Continue after this id, such as the `last_id` in an NDJSON export's last line.",
)
# The parameter is known, so that its error can name the NDJSON export, but the document doesn't list it.
NO_EXPAND = OpenApiParameter("expand", exclude=True)
RAW = OpenApiParameter("raw", OpenApiTypes.STR, enum=("0", "1"), description="1 leaves formulas in cells unchanged.")
TRAILER = OpenApiParameter(
    "trailer", OpenApiTypes.STR, enum=("0", "1"), description="0 leaves out the last line, which isn't a row."
)


class Stream(ShapedViewSet):
    """All rows of a table that the caller may see and the filters keep, by id. `after=ID` continues after that id."""

    resource: ClassVar[Resource]
    file_format: ClassVar[type[Format]]
    permission_classes = (HasRight,)
    scope = EXPORTS
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AnyAccept

    right: ClassVar[str]
    is_list = True  # HEAD takes the parameters of GET

    @property
    def known_parameters(self) -> frozenset[str]:
        filters = self.resource.filters.base_filters
        members = () if self.file_format.shape else selections.PARAMETERS
        return frozenset({*members, *filters, "after", *self.file_format.parameters})

    def stream(self, request: Request) -> StreamingHttpResponse:
        tally = Tally()
        blocks = stream_rows(self.read_query(), self.read_after(), tally, SLOTS.find_width, SLOTS.take_turn)
        if coding := self.choose_coding():
            blocks = compress_blocks(blocks, coding)
        blocks = SLOTS.hold(record_stream(blocks, tally, self.find_name()))
        return self.respond(Body(blocks, ClientConnection(int(request.META["SERVER_PORT"]))), coding)

    def describe(self, request: Request) -> StreamingHttpResponse:
        """HEAD: the same errors as GET, but no rows are read. Also a stream, so that it has no Content-Length of 0."""
        self.read_query()
        self.read_after()
        return self.respond((), self.choose_coding())

    def read_query(self) -> Query:
        name, suffix, request = self.resource.name, self.file_format.suffix, self.request
        return make_query(name, request.user, request.query_params, suffix, find_origin(request))

    def read_after(self) -> int:
        after = read_number(self.request.query_params, "after", 0, 0, GREATEST_AFTER)
        if after and self.resource.check_after:
            self.resource.check_after(after)
        return after

    def find_name(self) -> str:
        return f"{self.resource.name}.{self.file_format.file_suffix or self.file_format.suffix}"

    def choose_coding(self) -> str:
        return choose_coding(self.request.headers.get("Accept-Encoding", ""))

    def respond(self, blocks: Iterable[bytes], coding: str) -> StreamingHttpResponse:
        headers = {
            "Content-Disposition": f'attachment; filename="{self.find_name()}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",  # otherwise nginx collects the file before the client gets a byte
            "Vary": "Accept-Encoding",
        }
        if coding:
            headers["Content-Encoding"] = coding
        return StreamingHttpResponse(blocks, content_type=self.file_format.media_type, headers=headers)


def list_error_statuses(resource: Resource, file_format: type[Format]) -> Iterator[HTTPStatus]:
    if resource.check_after:
        yield HTTPStatus.GONE  # an `after` that the change log doesn't reach back to
    if file_format.shape:
        yield HTTPStatus.UNPROCESSABLE_ENTITY  # a setting that the format needs


def make_stream(resource: Resource, file_format: type[Format]) -> type[Stream]:
    """A view class for each resource and format, since drf-spectacular describes classes."""
    suffix = file_format.suffix
    members = {
        "__doc__": file_format.summary.format(name=resource.noun or resource.name),
        "resource": resource,
        "right": resource.right,
        "file_format": file_format,
        "queryset": find_model(resource.shape)._default_manager.none(),
        "read_serializer": resource.find_shape(is_flat=not file_format.has_nested),
        "filterset_class": resource.filters,
        "open_parameters": resource.open_parameters,
        "refusals": tuple(list_error_statuses(resource, file_format)),
    }
    stream = type(f"{resource.name.title()}{suffix.title()}", (Stream,), members)
    parameters = [AFTER]
    parameters += [RAW] if "raw" in file_format.parameters else []
    parameters += [TRAILER] if "trailer" in file_format.parameters else []
    parameters += [] if file_format.has_nested or file_format.shape else [NO_EXPAND]
    answer = {(200, file_format.media_type.partition(";")[0]): OpenApiTypes.STR}
    described: type[Stream] = extend_schema(parameters=parameters, responses=answer)(stream)
    return described
