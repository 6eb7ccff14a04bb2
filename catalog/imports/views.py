"""Import endpoints: send a file, watch and cancel its job, fetch its refused rows. A caller sees only their own."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.errors import FileRefused
from catalog.imports.errors import BadFile
from catalog.imports.formats.all import FORMATS
from catalog.imports.jobs import preview_upload
from catalog.imports.mending import send_refused
from catalog.imports.models import ImportJob, ImportRecipe
from catalog.imports.options import DECIMALS, DEFAULTS, HELP, MISSING, WEIGHT_UNITS, Options
from catalog.imports.refusals import send_errors
from catalog.imports.serializers import ImportRead, ImportWrite, PreviewRead, RecipeRead, RecipeWrite
from catalog.imports.uploads import Upload, store_upload
from catalog.models import Product
from config.api.access.permissions import HasRight, write_refusal
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import IMPORTS
from config.api.jobs.files import remove_file
from config.api.jobs.views import JobViewSet, OwnJobs, refuse_without_storage
from config.api.problems.errors import Fault, InvalidBody, InvalidParameter
from config.api.rendering.renderers import AnyAccept, JSONRenderer
from config.api.viewsets import ReadViewSet, WriteMixin

OPTIONS = (*DEFAULTS, "dry_run")
# The first ones are named in documents; the others are what browsers and Windows call the same files.
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILE_TYPES = (
    "text/csv", "application/x-ndjson", "application/json", XLSX, "application/xml", "application/gzip",
    "application/zstd", "application/zip", "application/octet-stream",
)  # fmt: skip
OTHER_NAMES = (
    "application/csv", "text/x-csv", "application/x-csv", "text/comma-separated-values",
    "text/x-comma-separated-values", "text/tab-separated-values", "text/plain", "application/vnd.ms-excel",
    "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines", "text/json",
    "text/xml", "application/rss+xml", "application/atom+xml", "application/x-gzip", "application/x-zip-compressed",
    "application/x-zip", "application/x-zstd", "application/vnd.apache.parquet", "binary/octet-stream",
    "application/x-download",
)  # fmt: skip
PARAMETERS = [
    OpenApiParameter("name", str, description="The file's name; the suffix `.ndjson` also sets the format."),
    OpenApiParameter("format", str, enum=list(FORMATS), description="Default: guessed from the file."),
    OpenApiParameter("map", str, description="Our field = your column, comma-separated: `title=product,sku=index`."),
    OpenApiParameter("dry_run", bool, description="Report what an import would do, and write nothing."),
    OpenApiParameter("encoding", str, description=HELP["encoding"]),
    OpenApiParameter("decimal", str, enum=DECIMALS, description=HELP["decimal"]),
    OpenApiParameter("category_separator", str, description=HELP["category_separator"]),
    OpenApiParameter("weight_unit", str, enum=WEIGHT_UNITS, description=HELP["weight_unit"]),
    OpenApiParameter("status", str, enum=Product.Status.values, description=HELP["status"]),
    OpenApiParameter("missing", str, enum=MISSING, description=HELP["missing"]),
    OpenApiParameter("update_only", bool, description=HELP["update_only"]),
    OpenApiParameter("create_only", bool, description=HELP["create_only"]),
]
TYPES = ", ".join(FILE_TYPES)
BODIES = {"multipart/form-data": ImportWrite} | dict.fromkeys(FILE_TYPES, OpenApiTypes.BINARY)
# Members of a form that aren't options. The form of the browsable API also has a CSRF token.
NO_OPTIONS = ("file", "csrfmiddlewaretoken")
# The bytes that a form may have in addition to its file.
FORM_BYTES = 64 * 1024
LONGEST_NAME = 255  # the length of ImportJob.name; Django cuts a form's file name to it


class RawParser(BaseParser):
    """Lists the accepted types for DRF. The view reads the file as a stream, so `parse` is never used."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        raise UnsupportedMediaType(media_type or "")


class OwnImports(OwnJobs):
    """The caller's imports. The caller needs the permission to import."""

    queryset = ImportJob.objects.all()
    scope = IMPORTS
    read_serializer = ImportRead


class ImportViewSet(JobViewSet, OwnImports):
    """The caller's own imports, newest first. An import is a job that reads a file of products into the catalogue.

    POST sends the file, as a form with `file` or as the body itself. The file may be large: it is streamed into the
    storage. GET shows the progress. DELETE cancels the import; rows that were imported by then stay.
    """

    parser_classes = (MultiPartParser, RawParser)
    write_serializer = ImportWrite
    upload: Upload | None = None

    @classmethod
    def find_body_limit(cls) -> int:
        """The most bytes of a body. A view with this method reads its body as a stream."""
        return settings.IMPORT_MAX_BYTES + FORM_BYTES

    def perform_authentication(self, request: Request) -> None:
        # Before the check of a session's CSRF token, which reads the whole form.
        user = getattr(request._request, "user", None)
        if user and user.is_authenticated and not user.has_perm(self.right):
            self.permission_denied(request, write_refusal(self.right))
        super().perform_authentication(request)

    @property
    def is_upload(self) -> bool:
        return self.action in ("create", "preview")

    @property
    def known_parameters(self) -> frozenset[str]:
        return super().known_parameters | ({"name", *OPTIONS} if self.is_upload else set())

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.is_upload:
            self.read_selection(detail=True)  # an error in `fields` comes before the file is stored
            # Before any transaction: it would stay open for as long as the client sends.
            self.upload = self.receive(request)

    def hash_body(self, request: Request) -> bytes:
        # `receive` has read the body.
        return self.upload.digest if self.upload else super().hash_body(request)

    def receive(self, request: Request) -> Upload:
        stream, name, length = find_stream(request)
        try:
            with refuse_without_storage():
                return store_upload(stream, name, length)
        except BadFile as error:
            raise FileRefused(str(error)) from None

    @extend_schema(parameters=PARAMETERS, request=BODIES)
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.write(self.get_serializer(data=read_options(request)), HTTPStatus.CREATED)

    @extend_schema(operation_id="preview_import", parameters=PARAMETERS, request=BODIES, responses=PreviewRead)
    def preview(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What an import of this file would do, by its first 1,000 rows. Nothing is written, not even the file."""
        serializer = self.get_serializer(data=read_options(request))
        serializer.is_valid(raise_exception=True)
        assert self.upload is not None  # stored before
        return Response(preview_upload(self.upload, Options.of(serializer.validated_data), request.user))

    def get_serializer_class(self) -> Any:
        return self.write_serializer if self.action == "preview" else super().get_serializer_class()

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "upload": self.upload}

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Deletes a file that no job has, because of an error or a repeated Idempotency-Key."""
        with suppress(DatabaseError, OSError):  # then the answer is a 503 already
            if self.upload and not ImportJob.objects.filter(file=self.upload.file).exists():
                remove_file(self.upload.file)
        return super().finalize_response(request, response, *args, **kwargs)


def read_options(request: Request) -> dict[str, Any]:
    options = {name: request.query_params[name] for name in OPTIONS if name in request.query_params}
    if is_form(request):
        options |= {name: value for name, value in read_form(request).items() if name not in NO_OPTIONS}
    return options


def is_form(request: Request) -> bool:
    return request.content_type.lower().startswith("multipart/form-data")


def read_form(request: Request) -> dict[str, Any]:
    return cast(dict[str, Any], request.data)


def find_stream(request: Request) -> tuple[Any, str, int | None]:
    """The file's stream, its name, and its length in bytes if the client announced it."""
    if is_form(request):
        file = find_file(request)
        return file, file.name or "upload", None
    if request.content_type.partition(";")[0].strip().lower() not in (*FILE_TYPES, *OTHER_NAMES):
        raise UnsupportedMediaType(request.content_type, f"Send a form with `file`, or {TYPES}.")
    return request._request, name_body(request), read_length(request)


def find_file(request: Request) -> UploadedFile[bytes]:
    """The form's file, which Django has written to a temporary file. Raises InvalidBody if the form has none."""
    file = read_form(request).get("file")
    if not isinstance(file, UploadedFile):
        raise InvalidBody([Fault("/file", "required", "The form needs a part of this name: the file to import.")])
    return file


def name_body(request: Request) -> str:
    """The parameter `name`, else a name whose suffix tells the format of the body's type."""
    is_ndjson = any(word in request.content_type for word in ("ndjson", "jsonl"))
    name = request.query_params.get("name") or ("upload.ndjson" if is_ndjson else "upload")
    if len(name) > LONGEST_NAME:
        raise InvalidParameter("name", f"It has {len(name)} characters; at most {LONGEST_NAME} are allowed.")
    return name


def read_length(request: Request) -> int | None:
    """The Content-Length in bytes; None for a chunked body."""
    text = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isdecimal() else None


class ImportErrors(OwnImports):
    """The first 100,000 errors of the file's rows, as a CSV of line, SKU or handle, and reason."""

    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AnyAccept
    planned = ()

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset()

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def download(self, request: Request, pk: str) -> StreamingHttpResponse:
        return send_errors(self.get_object(), is_head=request.method == "HEAD")


class FileToMend(ImportErrors):
    """The refused rows with the file's own columns, and one more that says why. Mend them, and send the file again.

    A CSV; NDJSON, if the file wasn't a table. It has the first 16 MiB of them: `refused_rows_kept` says how many.
    """

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/x-ndjson"): OpenApiTypes.STR})
    def download(self, request: Request, pk: str) -> StreamingHttpResponse:
        return send_refused(self.get_object(), is_head=request.method == "HEAD")


class RecipeViewSet(PrivateMixin, WriteMixin[ImportRecipe], ReadViewSet):
    """Options of imports under a name: the caller's own ones, and those that others share. Only one's own are changed.

    A recipe is for a source whose files come again and again: which column is which field, the decimal sign, and so on.
    """

    http_method_names = ("get", "post", "patch", "delete", "head", "options")
    compiled = False  # `is_own` depends on the caller
    queryset = ImportRecipe.objects.all()
    permission_classes = (HasRight,)
    right = ImportJob.right
    scope = IMPORTS
    read_serializer = RecipeRead
    write_serializer = RecipeWrite
    conditional_methods = ()
    default_ordering = "pk"
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> Any:
        rows: Any = super().get_queryset()
        return rows.visible_to(self.request.user) if self.request.method in SAFE_METHODS else self.find_own(rows)

    def find_own(self, rows: Any) -> Any:
        return rows.filter(owner_id=self.request.user.pk)
