"""The stored request of a job in, the query for its owner out."""

from typing import Any

from django.http import QueryDict

from config.api.problems.errors import ApiError, Fault, InvalidBody
from config.api.reads.parameters import check_parameters
from config.api.reads.resources import RESOURCES
from config.api.reads.selections import PARAMETERS
from exports.jobs.formats import JOB_FORMATS
from exports.models import ExportJob
from exports.rows.chunks import Query, make_query


def build_query(job: ExportJob) -> Query:
    """The job's query. Raises InvalidBody for a bad request, PermissionDenied if the owner lost the permission."""
    resource = RESOURCES[job.resource]
    owner = job.require_owner(resource.right)
    parameters = write_query(job)
    try:
        check_parameters(parameters, {*resource.filters.base_filters, *PARAMETERS, "raw"}, resource.open_parameters)
        return make_query(job.resource, owner, parameters, JOB_FORMATS[job.format].rows)
    except ApiError as error:
        raise InvalidBody([point_into_body(fault) for fault in error.faults], error.hint) from error


def write_query(job: ExportJob) -> QueryDict:
    """The request as query parameters of the list."""
    query = QueryDict(mutable=True)
    query.update({name: write_value(value) for name, value in job.filters.items()})
    query.update({"fields": job.fields, "expand": job.expand, "raw": "1" if job.raw else "0"})
    return query


def write_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(map(write_value, value))
    return str(value)


def point_into_body(fault: Fault) -> Fault:
    """The fault with a pointer into the job's body: `?brand` becomes `/filters/brand`."""
    name = fault.pointer.removeprefix("?")
    return Fault(f"/{name}" if name in PARAMETERS else f"/filters/{name}", fault.code, fault.detail)
