"""The endpoints of feeds: a caller's own ones, and the two addresses that need no token."""

from functools import cached_property
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.http import http_date, parse_http_date_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from catalog.changes.pages import CURSOR_HEADER
from config.api.access.permissions import HasRight, require_rights
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import ANY, FEEDS
from config.api.reads.conditional import is_known
from config.api.reads.resources import RESOURCES
from config.api.rendering.renderers import AnyAccept, JSONRenderer
from config.api.viewsets import ReadViewSet, ShapedViewSet, WriteMixin
from exports.errors import NotReady
from exports.feeds.addresses import FeedAuthentication, find_feed, name_file
from exports.feeds.building import find_rights
from exports.feeds.following import CURSOR, Place, read_delta
from exports.feeds.serializers import DeltaRead, ExportFeedRead, ExportFeedWrite, ScheduleWrite
from exports.jobs.ranges import read_span
from exports.jobs.requests import Exporter, build_query
from exports.jobs.submitting import REQUEST
from exports.jobs.views import begin_file, send_file
from exports.models import ExportJob, Feed

AFTER = OpenApiParameter(
    "after",
    {"type": "string", "pattern": f"^{CURSOR}$"},
    description="`next_cursor` of the last answer. Without it, what changed since the file was made.",
)
FILE_PARAMETERS = [
    OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="`bytes=1000-` continues after 1,000 bytes."),
    OpenApiParameter("If-Range", str, OpenApiParameter.HEADER, description="An `ETag`: another file is sent whole."),
]


class FeedViewSet(PrivateMixin, WriteMixin[Feed], ReadViewSet):
    """The caller's own feeds. A feed is an export that is made again and again, at an address that stays.

    It has what everybody may see, unless its filters name a `status`. PATCH changes the schedule.
    """

    compiled = False  # the addresses have the secret
    queryset = Feed.objects.select_related("job")
    permission_classes = (HasRight,)
    right = ExportJob.right
    scope = FEEDS
    read_serializer = ExportFeedRead
    write_serializer = ExportFeedWrite
    conditional_methods = ()
    default_ordering = "-pk"
    refusals = (HTTPStatus.UNPROCESSABLE_ENTITY,)

    def get_queryset(self) -> Any:
        return super().get_queryset().visible_to(self.request.user)

    def get_serializer_class(self) -> Any:
        return ScheduleWrite if self.action == "partial_update" else super().get_serializer_class()


class OfFeed(PrivateMixin, ShapedViewSet):
    """Base of the views whose address has the secret."""

    queryset = Feed.objects.all()
    read_serializer = ExportFeedRead
    compiled = False
    authentication_classes = (FeedAuthentication,)
    scope = ANY
    permission_classes = (HasRight,)
    planned = ()
    gated = ()

    @property
    def right(self) -> str:
        return RESOURCES[self.feed.resource].right

    @cached_property
    def feed(self) -> Feed:
        found: Any = self.request.auth
        return found if isinstance(found, Feed) else find_feed(**self.kwargs)


class FeedFile(OfFeed):
    """The feed's last whole file or, with `Range`, a piece of it. Its `ETag` is its SHA-256."""

    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AnyAccept
    refusals = (HTTPStatus.CONFLICT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset()

    @extend_schema(
        operation_id="feeds_file_retrieve",
        parameters=FILE_PARAMETERS,
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def fetch(self, request: Request, pk: str, secret: str, file: str) -> HttpResponseBase:
        job = self.find_ready(file)
        request.META.pop("HTTP_ACCEPT_ENCODING", None)  # the stored bytes are sent
        etag, headers = f'"{job.sha256}"', {"Last-Modified": http_date(job.finished_at.timestamp())}
        if job.changes_cursor is not None:
            headers[CURSOR_HEADER] = str(job.changes_cursor)
        if is_unchanged(request, job, etag):
            return HttpResponseNotModified(headers=headers | {"ETag": etag})
        span = read_span(request.headers, etag, job.bytes)
        response = send_file(job, span, begin_file(request, job, span))
        for name, value in {**headers, "Content-Disposition": f'attachment; filename="{file}"'}.items():
            response[name] = value
        return response

    def find_ready(self, file: str) -> Any:
        if file != name_file(self.feed):
            raise Http404
        job = self.feed.job
        if job is None:
            raise NotReady("queued", self.feed.error or "Its first file is being made; try again in a minute.")
        require_rights(self.request, *(job.rights or ()))
        return job


def is_unchanged(request: Request, job: Any, etag: str) -> bool:
    if (known := request.headers.get("If-None-Match")) is not None:
        return is_known(known, etag)
    since = parse_http_date_safe(request.headers.get("If-Modified-Since", ""))
    return since is not None and int(job.finished_at.timestamp()) <= since


class FeedDelta(OfFeed):
    """What changed in a feed since a cursor: rows as they are now, and the ids of those that it no longer has.

    Begin with the file and the cursor that its answer has in `X-Changes-Cursor`; then ask with `after=next_cursor`.
    """

    refusals = (HTTPStatus.GONE,)

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset({"after"})

    @extend_schema(parameters=[AFTER], responses=DeltaRead)
    def read(self, request: Request, pk: str, secret: str) -> Response:
        delta = read_delta(self.feed, self.build_query(), self.read_after())
        url = self.request.build_absolute_uri()
        following = replace_query_param(url, "after", delta.cursor) if delta.has_more else None
        members = {"next": following, "next_cursor": str(delta.cursor)}
        return Response({"rows": delta.rows, "gone": delta.gone} | members)

    def read_after(self) -> Place:
        job = self.feed.job
        if (text := self.request.query_params.get("after")) is not None:
            return Place.parse(text)
        return Place(job.changes_cursor if job and job.changes_cursor is not None else 0)

    def build_query(self) -> Any:
        asked = {name: getattr(self.feed, name) for name in REQUEST} | {"format": "ndjson", "raw": False}
        job = ExportJob(owner=self.feed.owner, **asked)
        return build_query(job, Exporter(self.feed.owner, find_rights(self.feed)))
