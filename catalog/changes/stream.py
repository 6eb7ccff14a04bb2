"""`GET /api/v1/changes/stream/`: the feed's rows as Server-Sent Events, as they are committed."""

from http import HTTPStatus

from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from catalog.changes.feed import Bounds
from catalog.changes.log import number_changes
from catalog.changes.pages import GREATEST_CURSOR
from catalog.changes.pushing import HUB
from catalog.changes.views import FEED_PARAMETERS, LogView, read_entities
from catalog.rights import EXPORT
from config.api.access.permissions import HasRight
from config.api.problems.errors import InvalidHeader
from config.api.push.callers import follow_caller, name_credentials
from config.api.push.responses import HEADERS, MEDIA_TYPE, EventStream, Pushed, count_places
from config.api.push.streams import Stream
from config.api.reads.parameters import check_parameters, read_number
from config.api.rendering.renderers import AnyAccept, JSONRenderer

LAST_EVENT_ID = "Last-Event-ID"
CURSOR = {"type": "integer", "minimum": 0, "maximum": GREATEST_CURSOR}
PARAMETERS = [
    OpenApiParameter("after", CURSOR, description="A cursor of the feed. Without it, the stream begins now."),
    *(parameter for parameter in FEED_PARAMETERS if parameter.name == "entity"),
    OpenApiParameter(
        LAST_EVENT_ID,
        CURSOR,
        OpenApiParameter.HEADER,
        description="The `id` of the last event, which an EventSource sends by itself; it overrides `after`.",
    ),
]
EXAMPLE = """retry: 2000
id: 101184

id: 101185
data: {"position": 101185, "entity": "product", "entity_id": 7, "op": "update", "version": 4, …}

:

"""
ANSWER = OpenApiResponse({"type": "string"}, "Events without an end. Each `data` is a row of the feed, as JSON.")


class ChangeStream(LogView):
    """Be told of changes: the rows of the feed as Server-Sent Events, each as soon as it is committed.

    `id` is the cursor after the change, also of the feed. An EventSource connects again by itself, and resumes without
    a gap. A comment comes every 15 seconds. The event `end` has a problem document as its data, and no more events
    follow: the cursor is too old (`changes_gone`), or the caller may no longer read the feed.
    """

    right = EXPORT
    permission_classes = (HasRight,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AnyAccept
    refusals = (HTTPStatus.GONE,)

    @extend_schema(
        operation_id="stream_changes", parameters=PARAMETERS, responses={(HTTPStatus.OK, MEDIA_TYPE): ANSWER}
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        kinds, position = self.read(request)
        HUB.reserve(count_places(request.META))
        caller = follow_caller(request, type(self))
        stream = Stream(position, kinds, request.user, name_credentials(request), caller)
        return EventStream(Pushed(HUB, stream), request.META)

    def head(self, request: Request) -> StreamingHttpResponse:
        """The errors of GET, or the head of its answer. A stream, so that it has no Content-Length of 0."""
        self.read(request)
        return StreamingHttpResponse((), content_type=MEDIA_TYPE, headers=HEADERS)

    def read(self, request: Request) -> tuple[frozenset[str], int]:
        check_parameters(request.query_params, {"after", "entity"}, lists=("entity",))
        return frozenset(read_entities(request.query_params)), read_position(request)


def read_position(request: Request) -> int:
    """The position to begin after. Raises ChangesGone if the log doesn't reach back to it."""
    after = read_last_event(request)
    if after is None and "after" in request.query_params:
        after = read_number(request.query_params, "after", 0, 0, GREATEST_CURSOR)
    number_changes()
    bounds = Bounds.read()
    if after is None:
        return bounds.newest
    bounds.check(after)
    return after


def read_last_event(request: Request) -> int | None:
    text = request.headers.get(LAST_EVENT_ID)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:13]) <= GREATEST_CURSOR):
        raise InvalidHeader(
            LAST_EVENT_ID, "It must be the `id` of an event of this stream.", "Leave it out to begin now."
        )
    return int(text)
