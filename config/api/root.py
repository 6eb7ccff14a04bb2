"""`GET /api/v1/`: where everything is."""

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

LISTS = {
    "products": "product-list",
    "brands": "brand-list",
    "categories": "category-list",
    "schema": "schema",
    "docs": "docs",
    "redoc": "redoc",
}


class Root(APIView):
    """The catalogue's lists, and the documents that describe them."""

    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({name: reverse(view, request=request) for name, view in LISTS.items()})
