"""`changes/undo/`: undo changes, and see what was undone. A caller sees only their own undos."""

from http import HTTPStatus
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.changes.log import number_all
from catalog.changes.undo.models import UndoJob
from catalog.changes.undo.serializers import UndoRead, UndoWrite
from config.api.access.scopes import UNDO
from config.api.jobs.views import JobViewSet


class UndoViewSet(JobViewSet):
    """The caller's own undos, newest first. An undo takes back the changes of anybody.

    POST names the changes of a request or an import, or a position and products. Values come from the change log. A row
    that somebody changed since is skipped and listed in `conflicts`, or overwritten with `on_conflict=force`; columns
    that only others changed stay. Up to 500 changes are undone within the request, more by a worker. An undo can be
    undone: the id of its own changes is `undo/` and its `id`.
    """

    queryset = UndoJob.objects.all()
    scope = UNDO
    read_serializer = UndoRead
    write_serializer = UndoWrite
    refusals = (HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY)

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        number_all()
        response = super().create(request, *args, **kwargs)
        number_all()
        return response
