"""Products, stock and prices, many at once."""

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Product, Stock, Variant
from catalog.writes.bodies import ProductsWriter
from catalog.writes.levels import PricesWriter, StockWriter
from catalog.writes.plans import Manner, Mode
from catalog.writes.serializers import (
    PriceBulkRead,
    PriceWrite,
    ProductBulkRead,
    ProductBulkWrite,
    StockBulkRead,
    StockWrite,
)
from config.api.access.permissions import AnyWrite, require_rights
from config.api.access.scopes import CATALOGUE
from config.api.writes.bulk import GREATEST_NUMBER, BulkListView, BulkView, Handling, write_rows

# The permissions that each mode needs.
RIGHTS = {
    Mode.CREATE: ("catalog.add_product",),
    Mode.UPDATE: ("catalog.change_product",),
    Mode.UPSERT: ("catalog.add_product", "catalog.change_product"),
    Mode.DELETE: ("catalog.delete_product",),
}


class ProductBulk(BulkView):
    """Create, update, upsert or delete up to 1,000 products in one transaction.

    Each item is the body of one product. Its nested lists match stored rows by id or SKU, and delete nothing. The
    answer has a result for every item, with JSON pointers to its errors.
    """

    queryset = Product.objects.all()
    permission_classes = (AnyWrite,)
    scope = CATALOGUE
    serializer_class = ProductBulkWrite

    @extend_schema(operation_id="bulk_write_products", responses=ProductBulkRead)
    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body = serializer.validated_data
        mode = Mode(body["mode"])
        require_rights(request, *RIGHTS[mode])
        handling = Handling(body["on_error"], body["dry_run"], self.read_limit(request))
        rows = write_rows(body["items"], lambda rows: ProductsWriter(rows, Manner(mode)), handling)
        return self.answer(rows, handling)


HANDLING = [
    OpenApiParameter(
        "on_error",
        str,
        enum=("reject_all", "skip"),
        default="reject_all",
        description="If some rows have errors: write no row, or write the other rows.",
    ),
    OpenApiParameter("dry_run", bool, default=False, description="Report what would happen, and write nothing."),
]

STOCK_ROWS = StockWrite(many=True, max_length=GREATEST_NUMBER)  # type: ignore[call-arg]  # many=True makes a ListSerializer
PRICE_ROWS = PriceWrite(many=True, max_length=GREATEST_NUMBER)  # type: ignore[call-arg]  # many=True makes a ListSerializer


@extend_schema_view(
    patch=extend_schema(
        operation_id="bulk_update_stock", request=STOCK_ROWS, responses=StockBulkRead, parameters=HANDLING
    )
)
class StockBulk(BulkListView):
    """Set the stock of up to 1,000 variants by SKU and location, in one transaction."""

    queryset = Stock.objects.all()
    scope = CATALOGUE
    serializer_class = StockWrite
    writer = StockWriter


@extend_schema_view(
    patch=extend_schema(
        operation_id="bulk_update_prices", request=PRICE_ROWS, responses=PriceBulkRead, parameters=HANDLING
    )
)
class PriceBulk(BulkListView):
    """Set the prices of up to 1,000 variants by SKU, in one transaction."""

    queryset = Variant.objects.all()
    scope = CATALOGUE
    serializer_class = PriceWrite
    writer = PricesWriter
