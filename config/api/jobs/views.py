"""Jobs over the API: a caller sees their own jobs, as long as they have the permission that the jobs need."""

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
from config.api.jobs.models import Job
from config.api.problems.errors import Unavailable
from config.api.viewsets import ReadViewSet, ShapedViewSet, WriteMixin

# A job's id in an address: at most 18 digits. A longer number is no id, and SQLite can't compare it.
JOB = r"(?P<pk>[0-9]{1,18})/"
JOBS: dict[str, Any] = {"get": "list", "post": "create"}
ONE: dict[str, Any] = {"get": "retrieve", "delete": "destroy"}


class OwnJobs(PrivateMixin, ShapedViewSet):
    """The caller's own jobs. A subclass sets `queryset` and `read_serializer`."""

    queryset: Any
    permission_classes = (HasRight,)
    default_ordering = "-pk"

    @property
    def right(self) -> str:
        return str(self.queryset.model.right)

    def get_queryset(self) -> QuerySet[Any]:
        jobs: QuerySet[Any] = super().get_queryset().visible_to(self.request.user)
        return jobs


class JobViewSet(WriteMixin[Job], ReadViewSet, OwnJobs):
    """POST submits a job, GET shows its progress, DELETE cancels it or, once it is over, deletes it with its files.

    A subclass also sets `write_serializer`, whose `create()` submits the job.
    """

    conditional_methods = ()
    refusals = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        # Not in one transaction: a rollback can't bring deleted files back.
        job = self.get_object()
        with refuse_without_storage():
            if not job.cancel():
                job.discard()
        return Response(status=HTTPStatus.NO_CONTENT)


@contextmanager
def refuse_without_storage() -> Iterator[None]:
    """Raise Unavailable (503) if the storage of the files fails."""
    try:
        yield
    except OSError as error:
        raise Unavailable("The storage of the files") from error


def route_jobs(prefix: str, view: type[JobViewSet]) -> list[URLPattern]:
    """The addresses of a kind of job, which begin with `prefix`: the list, and one job."""
    name = view.queryset.model._meta.model_name
    return [
        re_path(rf"^{prefix}$", view.as_view(JOBS, basename=name, suffix="List"), name=f"{name}-list"),
        re_path(rf"^{prefix}{JOB}$", view.as_view(ONE, basename=name), name=f"{name}-detail"),
    ]
