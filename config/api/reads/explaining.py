"""Answers a read with `?explain=1` by its SQL statements, each with its time and its plan.

`{"statements": [{"database": "default", "sql": "SELECT …", "parameters": […], "ms": 1.2, "plan": …}]}`. The read runs
as always. Then PostgreSQL runs each statement again with EXPLAIN ANALYZE, under the usual time limits. SQLite gives the
plan without running the statement.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from django.db import connections, transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from config.api.access.permissions import write_refusal
from config.api.database.observers import OBSERVERS
from config.api.reads.parameters import read_choice

EXPLAIN = "explain"

ANALYZE = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
QUERY_PLAN = "EXPLAIN QUERY PLAN "


class Explanation:
    """Observes statements from now until `finish()`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, float]] = []
        # `observe` isn't used: if an error comes before `finish()`, the RequestRecord resets OBSERVERS. Later the
        # garbage collector would close the generator of `observe`, which would reset OBSERVERS in another request.
        self.token = OBSERVERS.set((*OBSERVERS.get(), self.record))

    def record(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.asked.append((context["connection"].alias, str(sql), params, time.perf_counter() - began))

    def answer(self, handle: Callable[..., HttpResponse], *args: Any, **kwargs: Any) -> HttpResponse:
        """Call `handle` and answer with its statements; with its own answer if that isn't a 200."""
        response = handle(*args, **kwargs)
        statements = self.finish()
        if response.status_code != HTTPStatus.OK:
            return response
        return Response({"statements": statements}, headers={"Cache-Control": "private, no-store"})

    def finish(self) -> list[dict[str, Any]]:
        """Stop observing. Returns the SELECT statements that ran, each with its plan."""
        OBSERVERS.reset(self.token)
        return [describe(*each) for each in self.asked if each[1].lstrip().upper().startswith(("SELECT", "WITH"))]


def describe(database: str, sql: str, parameters: Sequence[Any] | None, seconds: float) -> dict[str, Any]:
    return {
        "database": database,
        "sql": sql.strip(),
        "parameters": [value if isinstance(value, int | str) else str(value) for value in parameters or ()],
        "ms": round(seconds * 1000, 3),
        "plan": read_plan(database, sql, parameters),
    }


def read_plan(database: str, sql: str, parameters: Sequence[Any] | None) -> Any:
    if connections[database].vendor != "postgresql":
        with connections[database].cursor() as cursor:
            cursor.execute(QUERY_PLAN + sql, parameters)
            return [{"id": row[0], "parent": row[1], "detail": row[3]} for row in cursor.fetchall()]
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        # ANALYZE runs the statement that it explains.
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(ANALYZE + sql, parameters)
        plan = cursor.fetchone()[0]
        return json.loads(plan) if isinstance(plan, str) else plan


class ExplainMixin(GenericViewSet[Any]):
    """A mixin for views that read by plans: `?explain=1`."""

    queryset: Any
    explanation: Explanation | None = None

    def begin_explanation(self, request: Request) -> None:
        """Start the explanation if `?explain=1` is given. Raises PermissionDenied without the model's view permission.

        Plans tell about rows that other callers may not see.
        """
        if read_choice(request.query_params, EXPLAIN, ("1",)):
            names = self.queryset.model._meta
            right = f"{names.app_label}.view_{names.model_name}"
            if not request.user.has_perm(right):
                self.permission_denied(request, write_refusal(right))
            self.explanation = Explanation()
            # DRF looks the handler up after this, on the instance.
            method = str(request.method).lower()
            setattr(self, method, partial(self.explanation.answer, getattr(self, method)))
