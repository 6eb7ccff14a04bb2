"""WSGI in, WSGI out: a read whose plan is kept is answered here, before Django.

Middleware, routing and DRF's dispatch take longer than such a read itself (0.45 ms of server CPU against 0.2), and
come to the same each time. What gets through the gate is a program's: a GET without cookie, token or condition, for
JSON. Its rows are read anew, its record is kept, and whatever isn't plain sailing goes on to Django, which answers it
as if there were no gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import close_old_connections
from django.http import HttpResponse

from config.api.access.throttling import count_stranger
from config.api.gates.asked import Environ, StartResponse, read_gate_request
from config.api.gates.entries import PER_ANSWER
from config.api.gates.records import CACHE_STATE, RequestRecord
from config.api.problems.errors import find_limit
from config.api.reads.plans import PLANS, Plans, Question, Reply
from config.api.rendering.encodings import choose_coding, compress
from config.api.viewsets import OVER_LIMIT

# With one of these an answer depends on more than what is asked.
PERSONAL = frozenset({"HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH", "HTTP_X_MIN_VERSION"})
# Headers that a plan doesn't keep: its answers have other rows each time, so what depends on the body changes, too.
PER_BODY = PER_ANSWER | {"etag", "link"}


@dataclass(frozen=True)
class PlainRead:
    """A request: the key of its plan, the value that the plan waits for, path and route for the log line."""

    key: Question
    value: str | None
    path: str
    route: str


class PlanGate:
    """In front of `application`, Django's handler."""

    def __init__(self, application: Callable[[Environ, StartResponse], Any]) -> None:
        self.application = application
        # What Django has answered 200 to a stranger, so the gate may too; by question, as plans are.
        self.headers: Plans[dict[str, str]] = Plans()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        read = read_request(environ)
        if read is None:
            return self.application(environ, start_response)
        plan, headers = PLANS.find(read.key), self.headers.find(read.key)
        answer = self.try_plan(environ, read, plan, headers) if plan and headers else None
        if answer is None:
            return self.learn(read, self.application(environ, start_response))
        start_response("200 OK", list(answer.headers.items()))
        return [answer.body]

    def learn(self, read: PlainRead, response: Any) -> Any:
        """Keep the headers of a question's first answer."""
        if isinstance(response, HttpResponse) and response.status_code == 200:
            headers = {name: value for name, value in response.items() if name.lower() not in PER_BODY}
            self.headers.keep(read.key, headers)
        return response

    def try_plan(self, environ: Environ, read: PlainRead, plan: Any, headers: dict[str, str]) -> Reply | None:
        """The whole answer; None where Django is to say what is wrong."""
        standing = count_stranger(environ)
        if standing and not standing.is_allowed:
            return None
        with RequestRecord.find(environ) as record:
            try:
                reply = plan.reply(read.value)
            except Exception as error:
                # Django does it again, and answers and logs as it always does; what took too long is only answered.
                if find_limit(error):
                    environ[OVER_LIMIT] = error
                return None
            finally:
                # As Django does when a request ends: connections past their age, or lent by a pool, go back.
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
    """None for what isn't a program's plain read."""
    if environ["REQUEST_METHOD"] != "GET" or not PERSONAL.isdisjoint(environ):
        return None
    read = read_gate_request(environ)
    if read is None or read.action.action not in read.action.view.planned:
        return None
    found = read.action
    key = found.view.pose_question(found.action, AnonymousUser(), found.arguments, read.origin, read.query)
    value = read.query.cursor if found.action == "list" else found.arguments[found.view.lookup_field]
    return PlainRead(key, value, found.path, found.route) if key else None
