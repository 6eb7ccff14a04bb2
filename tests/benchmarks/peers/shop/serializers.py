"""What both DRF peers show: ordinary ModelSerializers, read-only, which DRF serves twice as fast."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from tests.benchmarks.peers.shop.models import Brand, Category, Image, Product


class RatingField(serializers.DecimalField):
    def to_representation(self, value: Decimal) -> Any:
        return super().to_representation(value) if value else None


class BrandSerializer(serializers.ModelSerializer):
    class Meta:
        model = Brand
        fields = read_only_fields = ["id", "slug", "name", "version", "created_at", "updated_at"]


class CategorySerializer(serializers.ModelSerializer):
    parent = serializers.SlugRelatedField(slug_field="slug", read_only=True)

    class Meta:
        model = Category
        fields = read_only_fields = ["id", "slug", "name", "parent", "version", "created_at", "updated_at"]


class ImageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Image
        fields = read_only_fields = ["id", "url", "alt", "position", "width", "height", "thumbnails"]


class ProductSerializer(serializers.ModelSerializer):
    brand = BrandSerializer(read_only=True)
    category = CategorySerializer(read_only=True)
    rating = RatingField(max_digits=3, decimal_places=2, read_only=True)
    images = ImageSerializer(many=True, read_only=True)

    class Meta:
        model = Product
        fields = read_only_fields = [
            "id", "sku", "slug", "title", "brand", "category", "status", "currency", "price", "compare_at_price",
            "lowest_price_30_days", "in_stock", "rating", "image_url", "attributes", "images", "version", "created_at",
            "updated_at",
        ]  # fmt: skip
