"""What a job was asked for, as it is kept, and the rows and their shape that it comes to for its owner now."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import QueryDict

from catalog.filters import ProductFilters
from catalog.models import Product
from catalog.querysets import ProductQuerySet
from catalog.search import SEARCH_HITS
from catalog.serializers import ProductRead
from config.api.counting import count_at_most
from config.api.errors import ApiError, Fault, InvalidBody, InvalidParameter
from config.api.filtering import InvalidFilters
from config.api.parameters import check_parameters
from config.api.selections import PARAMETERS, read_selection
from exports.models import ExportJob
from exports.rows import Source

RIGHT = "catalog.export_product"


def build_source(job: ExportJob) -> Source:
    """InvalidBody where the request names what isn't there; PermissionDenied for an owner who lost the right."""
    if job.owner is None or not job.owner.is_active or not job.owner.has_perm(RIGHT):
        raise PermissionDenied("Its owner may not export any more.")
    try:
        selection = read_selection(write_query(job), ProductRead, detail=False)
        return Source(filter_rows(job, write_query(job)).order_by("pk"), ProductRead, selection)
    except ApiError as error:
        raise InvalidBody([point_into_body(fault) for fault in error.faults], error.hint) from error


def write_query(job: ExportJob) -> QueryDict:
    """The request as the list would be asked."""
    query = QueryDict(mutable=True)
    query.update({name: write_value(value) for name, value in job.filters.items()})
    query.update({"fields": job.fields, "expand": job.expand})
    return query


def write_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(map(write_value, value))
    return str(value)


def filter_rows(job: ExportJob, query: QueryDict) -> ProductQuerySet:
    assert job.owner is not None  # who has no owner has no right either
    check_parameters(query, {*ProductFilters.base_filters, *PARAMETERS}, ProductFilters.prefixes)
    rows = Product.objects.visible_to(job.owner)
    names = ProductFilters.find_names(query)
    filters = ProductFilters(query, rows, names=names)
    if not filters.is_valid():
        raise InvalidFilters({name: [str(text) for text in texts] for name, texts in filters.errors.items()})
    refuse_cut_search(query.get("search"))
    found: ProductQuerySet = filters.qs if names else rows
    return found


def refuse_cut_search(words: str | None) -> None:
    """A search reads its first SEARCH_HITS hits, and an export that leaves rows out isn't one."""
    if words and count_at_most(Product.objects.matching(words), SEARCH_HITS - 1) >= SEARCH_HITS:
        raise InvalidParameter(
            "search",
            f"It finds {SEARCH_HITS} products or more, too many for an export.",
            "Search for more words, or export by filters.",
        )


def point_into_body(fault: Fault) -> Fault:
    """`?brand` of the list is `/filters/brand` of the job."""
    name = fault.pointer.removeprefix("?")
    return Fault(f"/{name}" if name in PARAMETERS else f"/filters/{name}", fault.code, fault.detail)
