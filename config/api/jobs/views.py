"""Jobs over the API: each caller sees their own, for as long as they have the right to what the jobs do."""

from typing import Any

from django.db.models import QuerySet

from config.api.permissions import HasRight
from config.api.privacy import PrivateMixin
from config.api.viewsets import ShapedViewSet


class OwnJobs(PrivateMixin, ShapedViewSet):
    """A subclass names the table of the jobs, the shape that they are read in, and the `right` to them."""

    permission_classes = (HasRight,)
    default_ordering = "-pk"

    def get_queryset(self) -> QuerySet[Any]:
        jobs: QuerySet[Any] = super().get_queryset()
        return jobs.filter(owner_id=self.request.user.pk)
