"""`GET /api/v1/`: where everything is."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from config.api.access.scopes import ANY
from config.api.reads.parameters import check_parameters
from config.api.reads.root_lists import LISTS

DOCUMENTS = {"schema": "schema", "docs": "docs", "redoc": "redoc"}

ADDRESSES: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}


class Root(APIView):
    """The lists, where to sign in, and the documents that describe it all."""

    permission_classes = (AllowAny,)
    scope = ANY

    @extend_schema(responses={200: ADDRESSES})
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        return Response({name: reverse(view, request=request) for name, view in (LISTS | DOCUMENTS).items()})
