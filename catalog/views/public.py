"""What the catalogue's reads for everybody have in common."""

from django.contrib.auth.models import AnonymousUser

from config.api.access.permissions import Caller, PublicRead
from config.api.access.scopes import CATALOGUE
from config.api.reads.pagination import PageNumberPagination
from config.api.reads.unserved import IndexServed
from config.api.viewsets import ReadViewSet, ShapedViewSet


class SeenByRight(ShapedViewSet):
    """Public reads: callers with the permission to view products see all of them, others only active ones."""

    permission_classes = (PublicRead,)
    scope = CATALOGUE

    @classmethod
    def find_audience(cls, caller: Caller) -> bool:
        # A stranger has no rights; to ask the backends for them takes 7 microseconds.
        return not isinstance(caller, AnonymousUser) and caller.has_perm("catalog.view_product")


class SluggedViewSet(ReadViewSet):
    """A public list ordered by slug, the same rows for every caller, and each row by its slug."""

    permission_classes = (PublicRead,)
    scope = CATALOGUE
    pagination_class = PageNumberPagination
    orderings = ("slug", "-slug", "id", "-id")
    default_ordering = "slug"
    index_served: IndexServed = frozenset({(None, "slug"), (None, "id")})
    lookup_field = "slug"
    lookup_value_regex = "[^/]+"

    @classmethod
    def find_audience(cls, caller: Caller) -> str:
        return "anybody"
