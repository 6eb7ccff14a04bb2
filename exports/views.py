"""A caller with the export permission asks, a streamed file comes; what is wrong is said before it begins."""

from collections.abc import Iterable
from typing import ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from catalog.filters import ProductFilters
from catalog.models import Product
from catalog.querysets import ProductQuerySet
from catalog.search import SEARCH_HITS
from catalog.serializers import ProductRead
from config.api import selections
from config.api.counting import count_at_most
from config.api.errors import InvalidParameter
from config.api.filtering import FilterBackend
from config.api.parameters import read_choice, read_names, read_number
from config.api.permissions import ExportPermissions
from config.api.renderers import JSONRenderer, Negotiation
from config.api.selections import Selection
from config.api.viewsets import ShapedViewSet
from exports.encoders import CsvEncoder, Encoder, NdjsonEncoder, list_columns
from exports.hangups import Line
from exports.rows import Source
from exports.streams import Body, accepts_gzip, compress_chunks, record_stream, stream_rows
from exports.tallies import Tally

GREATEST_AFTER = 10**12 - 1

AFTER = OpenApiParameter(
    "after",
    {"type": "integer", "minimum": 0, "maximum": GREATEST_AFTER},
    description="Go on after this id, as a trailer's `last_id`.",
)
# Known, so that its refusal says where to go, but nothing to offer.
NO_EXPAND = OpenApiParameter("expand", exclude=True)
RAW = OpenApiParameter("raw", OpenApiTypes.STR, enum=("0", "1"), description="1 leaves risky cells as they are.")


class AnyAccept(Negotiation):
    """The path names the format, whatever `Accept` says; what is refused is refused in JSON."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        [renderer] = renderers
        return renderer, str(renderer.media_type)


class ProductStream(ShapedViewSet):
    """Every product that the caller may see and the filters keep, by id; `after=ID` goes on after that id."""

    queryset = Product.objects.all()
    permission_classes = (ExportPermissions,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AnyAccept
    read_serializer = ProductRead
    filter_backends = (FilterBackend,)
    filterset_class = ProductFilters
    open_parameters = ("attr.",)
    encoder: ClassVar[type[Encoder]]

    @property
    def is_list(self) -> bool:
        return True  # HEAD takes the parameters of GET

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset({*selections.PARAMETERS, *ProductFilters.base_filters, "after", *self.encoder.parameters})

    def get_queryset(self) -> ProductQuerySet:
        return Product.objects.visible_to(self.request.user)

    def stream(self, request: Request) -> StreamingHttpResponse:
        source = self.read_source()
        self.refuse_cut_search()
        tally = Tally()
        chunks = stream_rows(source, self.build_encoder(source.selection), tally)
        if self.is_compressed:
            chunks = compress_chunks(chunks)
        line = Line(int(request.META["SERVER_PORT"]))
        return self.respond(Body(record_stream(chunks, tally, self.find_name()), line))

    def describe(self, request: Request) -> StreamingHttpResponse:
        """HEAD: refused as GET is, and reads no row. A stream too, since its length isn't 0."""
        self.build_encoder(self.read_source().selection)
        return self.respond(())

    def read_source(self) -> Source:
        selection = self.read_selection(detail=False)
        after = read_number(self.request.query_params, "after", 0, 0, GREATEST_AFTER)
        rows = self.filter_queryset(self.get_queryset())
        return Source(rows, self.read_serializer, selection, after, self.get_serializer_context())

    def read_selection(self, detail: bool) -> Selection:
        if not self.encoder.has_nested and read_names(self.request.query_params, "expand"):
            raise InvalidParameter(
                "expand",
                f"A {self.encoder.suffix} row is flat, so nothing is expanded in it.",
                "Ask for products.ndjson; brand and category are slugs here.",
            )
        return super().read_selection(detail)

    def build_encoder(self, selection: Selection) -> Encoder:
        raw = read_choice(self.request.query_params, "raw", ("0", "1")) == "1"
        return self.encoder(list_columns(self.read_serializer, selection), raw)

    def refuse_cut_search(self) -> None:
        """A search reads its first SEARCH_HITS hits, and an export that leaves rows out isn't one."""
        words = self.request.query_params.get("search")
        if words and count_at_most(Product.objects.matching(words), SEARCH_HITS - 1) >= SEARCH_HITS:
            raise InvalidParameter(
                "search",
                f"It finds {SEARCH_HITS} products or more, too many for an export.",
                "Search for more words, or export by filters.",
            )

    def find_name(self) -> str:
        return f"products.{self.encoder.suffix}"

    @property
    def is_compressed(self) -> bool:
        return accepts_gzip(self.request.headers.get("Accept-Encoding", ""))

    def respond(self, chunks: Iterable[bytes]) -> StreamingHttpResponse:
        headers = {
            "Content-Disposition": f'attachment; filename="{self.find_name()}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",  # nginx would collect the file before the client gets a byte
            "Vary": "Accept-Encoding",
        }
        if self.is_compressed:
            headers["Content-Encoding"] = "gzip"
        else:
            # GZipMiddleware passes by what has a Content-Encoding, and takes `gzip;q=0` for a yes. `identity` is no
            # value for that header (RFC 9110, 8.4.1), so the wish is taken away instead.
            self.request.META.pop("HTTP_ACCEPT_ENCODING", None)
        return StreamingHttpResponse(chunks, content_type=self.encoder.media_type, headers=headers)


@extend_schema(parameters=[AFTER, RAW, NO_EXPAND], responses={(200, "text/csv"): OpenApiTypes.STR})
class ProductCsv(ProductStream):
    """Products as CSV."""

    encoder = CsvEncoder


@extend_schema(parameters=[AFTER], responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
class ProductNdjson(ProductStream):
    """Products as NDJSON, with a trailer line that proves it whole."""

    encoder = NdjsonEncoder
