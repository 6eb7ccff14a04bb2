"""Export job endpoints: request, watch, cancel, download (also in pieces). A caller sees only their own jobs."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.http import HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from config.api.access.permissions import require_rights
from config.api.access.scopes import EXPORTS
from config.api.jobs.files import read_file
from config.api.jobs.views import JobViewSet, OwnJobs, refuse_without_storage
from config.api.reads.conditional import is_known
from config.api.reads.resources import RESOURCES
from config.api.rendering.renderers import AnyAccept, JSONRenderer
from exports.errors import FileGone, NotReady
from exports.formats.packers import PACKERS
from exports.jobs.formats import JOB_FORMATS
from exports.jobs.links import PARAMETER, LinkAuthentication, sign_link
from exports.jobs.publishing import find_suffix
from exports.jobs.ranges import Span, read_span
from exports.jobs.serializers import ExportRead, ExportWrite, ManifestRead
from exports.models import ExportJob
from exports.streaming.hangups import ClientConnection
from exports.streaming.slots import SLOTS
from exports.streaming.streams import Body

FILE_PARAMETERS = [
    OpenApiParameter(PARAMETER, str, description="The signature in a manifest's `url`; it replaces a token."),
    OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="`bytes=1000-` continues after 1,000 bytes."),
    OpenApiParameter("If-Range", str, OpenApiParameter.HEADER, description="An `ETag`: another file is sent whole."),
]


class OwnExports(OwnJobs):
    """The caller's export jobs. The caller needs the permission to export."""

    queryset = ExportJob.objects.all()
    scope = EXPORTS
    read_serializer = ExportRead


class ExportJobViewSet(JobViewSet, OwnExports):
    """The caller's own export jobs, newest first. An export is a job that writes a table, or filtered rows, to a file.

    POST starts a job. GET shows the progress. DELETE cancels an unfinished job, and deletes a finished one with its
    file. A file is kept for 7 days.
    """

    write_serializer = ExportWrite


class OfReadyJob(OwnExports):
    """Base of views that need a finished job."""

    planned = ()
    gated = ()
    refusals: tuple[HTTPStatus, ...] = (HTTPStatus.CONFLICT, HTTPStatus.GONE)

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset()

    def find_ready(self) -> ExportJob:
        job: ExportJob = self.get_object()
        require_rights(self.request, RESOURCES[job.resource].right, *(job.rights or ()))
        if job.status == ExportJob.Status.EXPIRED or (job.expires_at and job.expires_at < timezone.now()):
            raise FileGone
        if job.status != ExportJob.Status.READY:
            raise NotReady(job.status, job.error)
        return job


class ExportManifest(OfReadyJob):
    """The file's size, checksum and number of rows, a link to it, and the cursor from which `changes/` continues."""

    @extend_schema(responses=ManifestRead)
    def read(self, request: Request, pk: str) -> Response:
        job = self.find_ready()
        url, ends_at = sign_link(job, reverse("exportjob-file", kwargs={"pk": job.pk}, request=request))
        return Response(describe_file(job) | {"url": url, "url_expires_at": ends_at})


class ExportFile(OfReadyJob):
    """The file or, with `Range`, a piece of it. Its `ETag` is its SHA-256."""

    authentication_classes = (LinkAuthentication, *OwnExports.authentication_classes)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AnyAccept
    refusals = (*OfReadyJob.refusals, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset({PARAMETER})

    @extend_schema(parameters=FILE_PARAMETERS, responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def fetch(self, request: Request, pk: str) -> HttpResponseBase:
        job = self.find_ready()
        # The stored bytes are sent. If they were compressed again, they would be another file with the same ETag.
        request.META.pop("HTTP_ACCEPT_ENCODING", None)
        etag = f'"{job.sha256}"'
        if is_known(request.headers.get("If-None-Match", ""), etag):
            return HttpResponseNotModified(headers={"ETag": etag})
        span = read_span(request.headers, etag, job.bytes)
        return send_file(job, span, begin_file(request, job, span))


def begin_file(request: Request, job: ExportJob, span: Span) -> Iterable[bytes]:
    """The body, empty for HEAD. Raises TooManyExports at the limit of streams, Unavailable if the storage fails."""
    if request.method == "HEAD":
        return ()
    with refuse_without_storage():
        chunks = read_file(job.file, span.start, span.size)
        return Body(SLOTS.hold(chunks), ClientConnection(int(request.META["SERVER_PORT"])))


def name_file(job: ExportJob) -> str:
    return f"{job.resource}-{job.pk}.{find_suffix(job)}"


def find_type(job: ExportJob) -> str:
    return PACKERS[job.compression].media_type or JOB_FORMATS[job.format].media_type


def describe_file(job: ExportJob) -> dict[str, Any]:
    return {
        "id": job.pk,
        "file": name_file(job),
        "media_type": find_type(job),
        "bytes": job.bytes,
        "sha256": job.sha256,
        "rows": job.rows_done,
        "last_id": job.last_id,
        "changes_cursor": None if job.changes_cursor is None else str(job.changes_cursor),
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
    }


def send_file(job: ExportJob, span: Span, chunks: Iterable[bytes]) -> StreamingHttpResponse:
    headers = {
        "ETag": f'"{job.sha256}"',
        "Accept-Ranges": "bytes",
        "Content-Length": str(span.size),
        "Content-Disposition": f'attachment; filename="{name_file(job)}"',
        "X-Content-Type-Options": "nosniff",
        "X-Accel-Buffering": "no",
    }
    if span.is_partial:
        headers["Content-Range"] = span.content_range
    status = HTTPStatus.PARTIAL_CONTENT if span.is_partial else HTTPStatus.OK
    return StreamingHttpResponse(chunks, status=status, content_type=find_type(job), headers=headers)
