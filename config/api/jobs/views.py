"""Jobs over the API: each caller sees their own, for as long as they have the right to what the jobs do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from django.urls import URLPattern, re_path
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.access.permissions import HasRight
from config.api.access.privacy import PrivateMixin
from config.api.problems.errors import Unavailable
from config.api.viewsets import ReadViewSet, ShapedViewSet, WriteMixin

# A job in an address. 18 digits at the most: a longer number is no id, and SQLite can't even compare it.
JOB = r"(?P<pk>[0-9]{1,18})/"
JOBS: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}


class OwnJobs(PrivateMixin, ShapedViewSet):
    """A subclass names the jobs by its `queryset`, and the shape that they are read in."""

    queryset: Any
    permission_classes = (HasRight,)
    default_ordering = "-pk"

    @property
    def right(self) -> str:
        return str(self.queryset.model.right)

    def get_queryset(self) -> QuerySet[Any]:
        jobs: QuerySet[Any] = super().get_queryset()
        return jobs.filter(owner_id=self.request.user.pk)


class JobViewSet(WriteMixin, ReadViewSet, OwnJobs):
    """POST asks for a job, GET tells how far it is, DELETE cancels it or, once it is over, deletes it with its files.

    A subclass names its `write_serializer` too, whose `create()` submits the job.
    """

    refusals = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        # Not in one transaction: of files that are gone no rollback brings any back.
        job = self.get_object()
        with refuse_without_storage():
            if not job.cancel():
                job.discard()
        return Response(status=HTTPStatus.NO_CONTENT)


@contextmanager
def refuse_without_storage() -> Iterator[None]:
    """Unavailable (503) where the storage of the files fails."""
    try:
        yield
    except OSError as error:
        raise Unavailable("The storage of the files") from error


def route_jobs(prefix: str, view: type[JobViewSet]) -> list[URLPattern]:
    """The addresses of a kind of job, which begin with `prefix`: its list, and each one."""
    name = view.queryset.model._meta.model_name
    return [
        re_path(rf"^{prefix}$", view.as_view(JOBS, basename=name, suffix="List"), name=f"{name}-list"),
        re_path(rf"^{prefix}{JOB}$", view.as_view(ONE, basename=name), name=f"{name}-detail"),
    ]
