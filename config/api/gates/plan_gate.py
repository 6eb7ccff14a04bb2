"""A WSGI gate that answers a read whose plan is cached, before Django.

Middleware, routing and DRF's dispatch take longer than such a read itself (0.45 ms of server CPU against 0.2), and
their result is the same each time. The gate answers a GET for JSON without a cookie, token or condition. It reads the
rows each time and writes the access log. All other requests go on to Django, which answers them as if there were no
gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import close_old_connections
from django.http import HttpResponse

from config.api.access.throttling import count_stranger
from config.api.gates.entries import PER_ANSWER
from config.api.gates.records import CACHE_STATE, RequestRecord
from config.api.gates.request import Environ, StartResponse, read_gate_request
from config.api.problems.errors import ApiError, find_limit
from config.api.reads.plans import GREATEST_NUMBER, PLANS, Question, Reply
from config.api.rendering.encodings import choose_coding, compress
from config.api.viewsets import OVER_LIMIT
from config.process.bounded import BoundedMap

# If a request has one of these headers, its answer depends on more than the address.
PERSONAL = frozenset({"HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH", "HTTP_X_MIN_VERSION"})
# Headers that the gate doesn't keep, since they depend on the body: the rows may differ in each answer of a plan.
PER_BODY = PER_ANSWER | {"etag", "link"}


@dataclass(frozen=True)
class PlainRead:
    """A request that a plan may answer: the plan's key, the plan's value, and path and route for the access log."""

    key: Question
    value: str | None
    path: str
    route: str


class PlanGate:
    """In front of `application`, Django's handler."""

    def __init__(self, application: Callable[[Environ, StartResponse], Any]) -> None:
        self.application = application
        # The headers of Django's 200 to a caller without a token, by the plan's key. The gate answers with the same.
        self.headers: BoundedMap[Question, dict[str, str]] = BoundedMap(GREATEST_NUMBER)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        read = read_request(environ)
        if read is None:
            return self.application(environ, start_response)
        plan = PLANS.find_current(read.key)
        headers = self.headers.find(read.key) if plan else None
        answer = self.try_plan(environ, read, plan, headers) if plan and headers else None
        if answer is None:
            return self.learn(read, self.application(environ, start_response))
        start_response("200 OK", list(answer.headers.items()))
        return [answer.body]

    def learn(self, read: PlainRead, response: Any) -> Any:
        """Keep the headers of a 200 of Django's, except those that change from answer to answer."""
        if isinstance(response, HttpResponse) and response.status_code == 200:
            headers = {name: value for name, value in response.items() if name.lower() not in PER_BODY}
            self.headers.keep(read.key, headers)
        return response

    def try_plan(self, environ: Environ, read: PlainRead, plan: Any, headers: dict[str, str]) -> Reply | None:
        """The whole answer. None if Django must answer, because the rate limit is reached or the plan failed."""
        standing = count_stranger(environ)
        if standing and not standing.is_allowed:
            return None
        with RequestRecord.find(environ) as record:
            try:
                reply = plan.reply(read.value)
            except Exception as error:
                # Django reads again, then answers and logs the failure. If the error is a refusal or a time limit,
                # Django answers it and doesn't read again.
                if isinstance(error, ApiError) or find_limit(error):
                    environ[OVER_LIMIT] = error
                return None
            finally:
                # Django does the same at the end of a request: old connections are closed, pooled ones given back.
                close_old_connections()
            if reply is None:
                return None
            coding = choose_coding(environ.get("HTTP_ACCEPT_ENCODING", ""))
            body = compress(reply.body, coding)
            cache = environ.get(CACHE_STATE, "bypass")
            where = {"path": read.path, "route": read.route, "rows": reply.rows}
            line = record.finish(200, len(body), cache, reply.render_seconds, **where)
        rate = standing.headers if standing else {}
        coded = {} if body is reply.body else {"Content-Encoding": coding}
        own = {**line, **rate, **coded, "X-Cache": cache, "Content-Length": str(len(body))}
        return Reply(body, {**headers, **reply.headers, **own})


def read_request(environ: Environ) -> PlainRead | None:
    """The request as a plain read; None if it isn't one, or if its action has no plans."""
    if environ["REQUEST_METHOD"] != "GET" or not PERSONAL.isdisjoint(environ):
        return None
    read = read_gate_request(environ)
    if read is None or read.action.action not in read.action.view.planned:
        return None
    found = read.action
    key = found.view.pose_question(found.action, AnonymousUser(), found.arguments, read.origin, read.query)
    value = read.query.cursor if found.action == "list" else found.arguments.get(found.view.lookup_field)
    return PlainRead(key, value, found.path, found.route) if key else None
