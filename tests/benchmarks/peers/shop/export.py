"""An export as DRF projects have it: a flat serializer, csv.writer and .iterator(), in a streamed response."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from tests.benchmarks.peers.shop.models import Product
from tests.benchmarks.peers.shop.serializers import RatingField

BATCH = 2_000


class Echo:
    """What is written comes back, as Django's documentation has it."""

    def write(self, line: str) -> str:
        return line


class FlatSerializer(serializers.ModelSerializer):
    brand = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    category = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    rating = RatingField(max_digits=3, decimal_places=2, read_only=True)

    class Meta:
        model = Product
        fields = read_only_fields = [
            "id", "sku", "slug", "title", "brand", "category", "status", "currency", "price", "compare_at_price",
            "lowest_price_30_days", "in_stock", "rating", "image_url", "attributes", "version", "created_at",
            "updated_at",
        ]  # fmt: skip


def write_lines(upto: int) -> Iterator[str]:
    rows = Product.objects.filter(id__lte=upto).order_by("id").select_related("brand", "category")
    writer = csv.writer(Echo())
    yield writer.writerow(FlatSerializer.Meta.fields)
    serializer = FlatSerializer()
    for row in rows.iterator(chunk_size=BATCH):
        yield writer.writerow(map(write_cell, serializer.to_representation(row).values()))


def write_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else value


def join_lines(lines: Iterator[str]) -> Iterator[str]:
    """A thousand lines at a time: a system call a row would cost as much again."""
    waiting = []
    for line in lines:
        waiting.append(line)
        if len(waiting) == 1000:
            yield "".join(waiting)
            waiting.clear()
    yield "".join(waiting)


class Export(APIView):
    def get(self, request: Request) -> StreamingHttpResponse:
        lines = join_lines(write_lines(int(request.query_params["upto"])))
        return StreamingHttpResponse(lines, content_type="text/csv")
