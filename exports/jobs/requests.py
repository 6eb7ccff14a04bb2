"""The stored request of a job in, the query for its owner out.

What a file has depends on its owner's permissions. They are noted when the job is planned. All its parts are read with
these permissions, and a download of the file needs them, too.
"""

from typing import Any

from django.conf import settings
from django.http import QueryDict

from config.api.problems.errors import ApiError, Fault, InvalidBody
from config.api.reads.filtering import join_values
from config.api.reads.parameters import check_parameters
from config.api.reads.resources import RESOURCES
from config.api.reads.selections import PARAMETERS
from exports.jobs.formats import JOB_FORMATS
from exports.models import ExportJob
from exports.rows.chunks import Query, make_query


class Exporter:
    """A job's owner. `rights` are the permissions by which they see more; if given, they have no others."""

    def __init__(self, owner: Any, rights: list[str] | None) -> None:
        self.owner, self.given, self.rights = owner, rights, set(rights or ())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.owner, name)

    def has_perm(self, right: str) -> bool:
        if self.given is not None:
            return right in self.given
        is_allowed: bool = self.owner.has_perm(right)
        if is_allowed:
            self.rights.add(right)
        return is_allowed


def find_exporter(job: ExportJob) -> Exporter:
    """Raises PermissionDenied if the owner lost a permission since the job was planned."""
    return Exporter(job.require_owner(RESOURCES[job.resource].right, *(job.rights or ())), job.rights)


def build_query(job: ExportJob, exporter: Any = None) -> Query:
    """The job's query. Raises InvalidBody for a bad request, PermissionDenied if the owner lost a permission."""
    resource = RESOURCES[job.resource]
    exporter = exporter or find_exporter(job)
    parameters = write_query(job)
    try:
        check_parameters(parameters, {*resource.filters.base_filters, *PARAMETERS, "raw"}, resource.open_parameters)
        return make_query(job.resource, exporter, parameters, JOB_FORMATS[job.format].rows, settings.PUBLIC_URL)
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
            return join_values(map(write_value, value))
    return str(value)


def point_into_body(fault: Fault) -> Fault:
    """The fault with a pointer into the job's body: `?brand` becomes `/filters/brand`."""
    name = fault.pointer.removeprefix("?")
    return Fault(f"/{name}" if name in PARAMETERS else f"/filters/{name}", fault.code, fault.detail)
