"""`GET /api/v1/`: the URLs of the lists and the documents."""

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
    """The URLs of the lists, of the sign-in, and of the documents that describe the API."""

    permission_classes = (AllowAny,)
    scope = ANY

    @extend_schema(responses={200: ADDRESSES})
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        return Response({name: reverse(view, request=request) for name, view in (LISTS | DOCUMENTS).items()})
