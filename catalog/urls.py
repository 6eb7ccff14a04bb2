from collections.abc import Mapping
from typing import Any

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from catalog.changes import views as change_views
from catalog.changes.stream import ChangeStream
from catalog.changes.undo.views import UndoViewSet
from catalog.imports import views as import_views
from catalog.views import bulk, parts, prices, products, small_lists
from config.api.jobs.views import JOB, route_jobs


class MethodRouter(SimpleRouter):
    """A router that leaves out what `http_method_names` of a viewset leaves out."""

    def get_method_map(self, viewset: Any, method_map: Mapping[str, str]) -> dict[str, str]:
        found = super().get_method_map(viewset, method_map)
        return {method: name for method, name in found.items() if method in viewset.http_method_names}


router = MethodRouter()
router.register("products", products.ProductViewSet)
router.register("variants", parts.VariantViewSet)
router.register("brands", small_lists.BrandViewSet)
router.register("categories", small_lists.CategoryViewSet)
router.register("attributes", small_lists.AttributeViewSet)
router.register("locations", small_lists.LocationViewSet)
router.register("imports/recipes", import_views.RecipeViewSet)
router.register("scheduled_prices", prices.ScheduledPriceViewSet)

# At most 18 digits: no id is longer, and SQLite can't compare a longer number.
OF_PRODUCT = r"^products/(?P<product>[0-9]{1,18})"

PARTS: dict[str, Any] = {"get": "list", "post": "create"}
PART: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
FACETS: dict[str, Any] = {"get": "facets"}
BY_SLUG: dict[str, Any] = {"get": "retrieve"}
SUGGEST: dict[str, Any] = {"get": "suggest"}
IMPORT_ERRORS: dict[str, Any] = {"get": "download", "head": "download"}
IMPORT_PREVIEW: dict[str, Any] = {"post": "preview"}

urlpatterns = [
    re_path(rf"{OF_PRODUCT}/variants/$", parts.ProductVariants.as_view(PARTS), name="product-variants"),
    re_path(rf"{OF_PRODUCT}/images/$", parts.ProductImages.as_view(PARTS), name="product-images"),
    re_path(
        rf"{OF_PRODUCT}/images/(?P<pk>[0-9]{{1,18}})/$",
        parts.ProductImages.as_view(PART, detail=True),
        name="product-image",
    ),
    path("products/facets/", products.ProductFacets.as_view(FACETS), name="product-facets"),
    path("products/by-slug/<slug>/", products.ProductBySlug.as_view(BY_SLUG), name="product-by-slug"),
    path("products/suggest/", products.ProductSuggestions.as_view(SUGGEST), name="product-suggest"),
    path("products/bulk/", bulk.ProductBulk.as_view(), name="product-bulk"),
    path("stock/bulk/", bulk.StockBulk.as_view(), name="stock-bulk"),
    path("prices/bulk/", bulk.PriceBulk.as_view(), name="price-bulk"),
    path("prices/history/", prices.PriceHistory.as_view({"get": "list"}), name="price-history"),
    re_path(rf"{OF_PRODUCT}/history/$", change_views.ProductHistory.as_view(), name="product-history"),
    path("imports/preview/", import_views.ImportViewSet.as_view(IMPORT_PREVIEW), name="importjob-preview"),
    *route_jobs("imports/", import_views.ImportViewSet),
    re_path(rf"^imports/{JOB}errors/$", import_views.ImportErrors.as_view(IMPORT_ERRORS), name="importjob-errors"),
    re_path(rf"^imports/{JOB}refused/$", import_views.FileToMend.as_view(IMPORT_ERRORS), name="importjob-refused"),
    *route_jobs("changes/undo/", UndoViewSet),
    path("changes/stream/", ChangeStream.as_view(), name="change-stream"),
    path("changes/", change_views.ChangeFeed.as_view(), name="changes"),
    *router.urls,
]
