"""Variants and images: those of one product, and variants of all."""

import hashlib
from collections.abc import Collection
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from catalog.filters import VariantFilters
from catalog.models import Image, Product, Variant
from catalog.querysets import VariantQuerySet
from catalog.serializers import ImageRead, VariantRead
from catalog.views.public import SeenByRight
from catalog.writes.parts import delete_part, lock_product
from catalog.writes.serializers import ImageUpload, OneImageWrite, OneVariantWrite
from config.api.access.permissions import write_refusal
from config.api.reads.unserved import IndexServed
from config.api.viewsets import ReadViewSet, WriteMixin
from config.api.writes.parsers import JSONParser


class PartViewSet[Part: Variant | Image](WriteMixin[Part], SeenByRight):
    """Writes of one variant or image. They lock its product first, as all writers of products do."""

    def claim(self, row: Part, versions: Collection[int] | None) -> None:
        lock_product(row.product_id)
        super().claim(row, versions)

    def perform_destroy(self, instance: Part) -> None:
        delete_part(instance)


class OfProduct[Part: Variant | Image](PartViewSet[Part], ReadViewSet):
    """Rows below `products/{product}/`. The list is 404 if the caller can't see the product."""

    orderings = ("position", "-position")
    default_ordering = "position"

    @property
    def product(self) -> Product:
        return get_object_or_404(Product.objects.visible_to(self.request.user).only("pk"), pk=self.kwargs["product"])

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(product=self.product)


class ProductVariants(OfProduct[Variant]):
    """All variants of a product, by position. POST adds one."""

    queryset = Variant.objects.prefetch_related("stock")
    read_serializer = VariantRead
    write_serializer = OneVariantWrite

    def build_address(self, row: Variant) -> str:
        return reverse("variant-detail", kwargs={"sku": row.sku}, request=self.request)


FORM = "multipart/form-data"
# The bytes that a form may have beside its file.
FORM_BYTES = 64 * 1024
ADD_IMAGE = "catalog.add_image"


class ProductImages(OfProduct[Image]):
    """All images of a product, by position. POST adds one: by its address, or the picture itself in a form."""

    queryset = Image.objects.all()
    read_serializer = ImageRead
    write_serializer = OneImageWrite
    parser_classes = (JSONParser, MultiPartParser)
    streamed_type = FORM

    @classmethod
    def find_body_limit(cls) -> int:
        return settings.MEDIA_MAX_BYTES + FORM_BYTES

    def perform_authentication(self, request: Request) -> None:
        # Before the check of a session's CSRF token, which reads the whole form.
        user = getattr(request._request, "user", None)
        if request.method == "POST" and user and user.is_authenticated and not user.has_perm(ADD_IMAGE):
            self.permission_denied(request, write_refusal(ADD_IMAGE))
        super().perform_authentication(request)

    @property
    def is_upload(self) -> bool:
        return self.action == "create" and self.request.content_type.lower().startswith(FORM)

    def hash_body(self, request: Request) -> bytes:
        return hash_upload(request.data) if self.is_upload else super().hash_body(request)

    def get_serializer_class(self) -> Any:
        return ImageUpload if self.is_upload else super().get_serializer_class()

    # The form comes first: openapi-generator takes the first, and its TypeScript can't name a form that comes later.
    @extend_schema(request={FORM: ImageUpload, "application/json": OneImageWrite})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request, *args, **kwargs)

    def build_address(self, row: Image) -> str:
        place = {"product": row.product_id, "pk": row.pk}
        return reverse("product-image", kwargs=place, request=self.request)


def hash_upload(form: Any) -> bytes:
    """BLAKE2b of a form's texts and file, whose bytes are read anew afterwards."""
    hash_ = hashlib.blake2b(digest_size=32)
    for name, value in sorted(form.items()):
        content = value if isinstance(value, UploadedFile) else BytesIO(str(value).encode())
        hash_.update(f"{name}\0".encode() + hashlib.file_digest(content, "sha256").digest())
        content.seek(0)
    return hash_.digest()


class VariantViewSet(PartViewSet[Variant], ReadViewSet):
    """Variants of all products, and one by its SKU. PATCH changes it, DELETE deletes it with its stock."""

    http_method_names = ("get", "patch", "delete", "head", "options")
    queryset = Variant.objects.prefetch_related("stock")
    read_serializer = VariantRead
    write_serializer = OneVariantWrite
    filterset_class = VariantFilters
    orderings = ("id", "-id", "updated_at", "-updated_at")
    default_ordering = "id"
    index_served: IndexServed = frozenset({(None, "id"), (None, "updated_at"), ("updated_since", "updated_at")})
    lookup_field = "sku"
    # DRF's own pattern stops at a dot or a slash, so a SKU like "A.12/B" would be 404.
    lookup_value_regex = ".+"

    def get_queryset(self) -> VariantQuerySet:
        return super().get_queryset().visible_to(self.request.user)
