"""What we borrow of other packages without their promise: each row of the table is a canary.

A canary says that the name is still there and still means what our module takes it for. Where one fails after an
update, its message names the package, the name, who uses it and what to do. The last tests hold the table to the
sources: an underscored name of another package that isn't here fails, and so does a row that nobody uses any more.
"""

import ast
import hashlib
import importlib
import inspect
import logging
import multiprocessing.util
import pkgutil
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial, wraps
from io import BytesIO, StringIO
from itertools import chain
from logging.handlers import QueueListener
from pathlib import Path
from queue import Queue
from types import ModuleType, SimpleNamespace
from typing import Any

import granian.server.mp
import openpyxl
import psycopg
import pytest
from django.contrib.admin import ModelAdmin, site
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.handlers.wsgi import WSGIRequest
from django.core.management.base import OutputWrapper
from django.db import connection, connections, models, transaction
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
from django.db.backends.sqlite3 import schema as sqlite
from django.db.migrations import AlterModelOptions
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan
from django.http import HttpResponse
from django.middleware.gzip import GZipMiddleware
from django.test import Client, RequestFactory, modify_settings
from django.urls import reverse
from django.utils.log import log_response
from django.utils.text import compress_sequence, compress_string
from django_tasks_db.models import DBTaskResult
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularRedocView
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server.mp import MPServer, WorkerProcess
from knox.auth import TokenAuthentication
from knox.models import get_digest_token
from knox.settings import CONSTANTS
from limits.storage import RedisStorage
from rest_framework.permissions import DjangoModelPermissions
from rest_framework.request import Request
from rest_framework.serializers import CharField
from rest_framework.test import APIRequestFactory, force_authenticate
from rq import Worker
from storages.backends.s3 import S3Storage
from unfold.sites import UnfoldAdminSite
from unfold.views import ChangeList

from accounts.models import User
from catalog.changes.logged import find_logged
from catalog.models import Brand, Product
from catalog.writes.batches import Batch
from config.api.access.rate_store import InRedis
from config.api.database.leases import STOP
from config.api.database.lending import put_connections, take_connections
from config.api.database.schema_editors import PostgresqlEditor, SqliteEditor
from config.api.database.statements import FIRST_NAME, Given, open_cursor
from config.api.reads.beside import find_beside, show_beside
from config.process.connections import count_written
from config.serving.supervisor import count_queued, listen, stop_connects
from config.worker import build_table_worker
from exports.rows.chunks import read_copy
from tests.conftest import REDIS
from tests.factories import make_brand, make_user

pytestmark = pytest.mark.both

ROOT = Path(__file__).parent.parent
PACKAGES = ("config", "catalog", "accounts", "exports")

postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's driver")
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing of the kind is asked of the kernel")


@dataclass(frozen=True)
class Borrowed:
    """`names` of `package` that the modules `users` use; what to do once they mean something else."""

    package: str
    names: tuple[str, ...]
    users: tuple[str, ...]
    remedy: str


TABLE: list[Borrowed] = []


def borrows[**P](
    package: str, names: str, *, users: str, remedy: str
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A row of the table, whose canary this is; names and users are parted by blanks."""
    row = Borrowed(package, tuple(names.split()), tuple(users.split()), remedy)
    TABLE.append(row)

    def decorate(canary: Callable[P, None]) -> Callable[P, None]:
        @wraps(canary)
        def tell(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                canary(*args, **kwargs)
            except Exception as error:
                raise AssertionError(
                    f"{package}: {names} is no longer what {users} takes it for. {remedy} ({error!r})"
                ) from error

        return tell

    return decorate


def list_parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


# -- granian, pinned exactly --------------------------------------------------------------------------------------


@borrows(
    "granian",
    "_granian _granian.SocketHolder",
    users="config.serving.supervisor",
    remedy="Hand the listening socket to the workers by whatever SocketSpec.build() returns now.",
)
def test_granian_takes_a_listening_socket_that_is_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        holder: Any = SocketHolder
        held = holder(listener.fileno(), False, 128)
        assert held.get_fd() == listener.fileno()
        assert not held.is_uds()


@borrows(
    "granian",
    "MPServer._init_shared_socket MPServer._spawn_workers MPServer._stop_workers MPServer._respawn_workers"
    " MPServer._ssp MPServer._sso MPServer._shd MPServer.interrupt_signal MPServer.respawned_wrks MPServer.wrks"
    " WorkerProcess.inner",
    users="config.serving.supervisor",
    remedy="Read AbstractServer.startup() and its main loop anew; run tests/config/serving/test_stopping.py at once.",
)
def test_granians_server_starts_and_stops_its_workers_as_the_supervisor_expects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It configures logging anew, and what the suite's own process writes by is lost to later tests.
    monkeypatch.setattr("granian.server.common.configure_logging", lambda *options: None)
    server: Any = MPServer("no:where", interface=Interfaces.WSGI, port=0)
    assert (server._ssp, server._shd, server.interrupt_signal) == (None, None, False)
    assert (server.wrks, server.respawned_wrks) == ([], {})
    server._init_shared_socket()
    assert server._ssp or server._shd
    # What a worker is given, in this order: the specification of a socket or the socket itself.
    assert "((self._ssp, self._shd), self._sso)" in inspect.getsource(MPServer)
    for name, expected in {
        "_init_shared_socket": [],
        "_spawn_workers": ["spawn_target", "target_loader"],
        "_respawn_workers": ["workers", "spawn_target", "target_loader", "delay"],
        "_stop_workers": [],
    }.items():
        assert list_parameters(getattr(server, name)) == expected, name
    assert "self.respawned_wrks.get(idx, 0)" in inspect.getsource(MPServer._serve_loop)
    worker: Any = WorkerProcess(server, 0, print, ())
    assert (worker.inner.exitcode, worker.inner.pid, worker.is_alive()) == (None, None, False)


@borrows(
    "granian",
    "mp._wsgi_call_wrap",
    users="config.serving.held",
    remedy="Read granian/wsgi.py anew: Answering must see each answer's object and body. Run test_streams.py.",
)
def test_granian_gives_the_answers_object_to_a_function_that_can_be_wrapped() -> None:
    answered: list[Any] = []
    protocol = SimpleNamespace(
        response_bytes=lambda *answer: answered.append(answer),
        response_iter=lambda status, headers, body: answered.append((status, headers, body.inner, body.__next__())),
    )

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("A", "b")])
        return environ["body"]

    server: Any = granian.server.mp
    run = server._wsgi_call_wrap(application, {}, None)
    run(protocol, {"body": [b"whole"]})
    body = (block for block in [b"piece"])
    run(protocol, {"body": body})
    assert answered == [(200, [("A", "b")], b"whole"), (200, [("A", "b")], body, b"piece")]
    assert "_wsgi_call_wrap(callback, scope_opts, log_access_fmt)" in inspect.getsource(MPServer)


# -- Linux --------------------------------------------------------------------------------------------------------


@linux
@borrows(
    "Linux",
    "tcp_info.tcpi_unacked SO_ATTACH_FILTER",
    users="config.serving.supervisor",
    remedy="Compare TCPI_UNACKED and DROP_SYN with <linux/tcp.h> and <linux/filter.h> of this kernel.",
)
def test_the_kernel_counts_who_waits_and_drops_who_comes() -> None:
    with listen("127.0.0.1", 0, 16) as listener, socket.socket() as waiting, socket.socket() as late:
        waiting.connect(listener.getsockname())
        assert count_queued(listener) == 1
        listener.accept()[0].close()
        assert count_queued(listener) == 0
        stop_connects(listener)
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname())


@linux
@borrows(
    "Linux",
    "tcp_info.tcpi_bytes_acked TIOCOUTQ",
    users="config.process.connections",
    remedy="Compare ACKED with <linux/tcp.h> of this kernel: a failed export is cut by it.",
)
def test_the_kernel_counts_what_a_connection_was_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs = listener.accept()[0]
        before = count_written(ours)
        ours.sendall(b"x" * 70_000)
        assert count_written(ours) - before == 70_000  # taken or not
        assert theirs.recv(1) == b"x"
        theirs.close()


# -- psycopg ------------------------------------------------------------------------------------------------------


@postgresql
@borrows(
    "psycopg",
    "Copy._pgconn Copy._finished Connection.wait",
    users="exports.rows.chunks",
    remedy="Copy.read() does the same with a wait a row, at a fifth of the speed.",
)
@pytest.mark.django_db
def test_a_copy_is_read_in_one_wait() -> None:
    connection.ensure_connection()
    driver: Any = connection.connection
    with driver.cursor() as cursor, cursor.copy("COPY (VALUES (1, 'a'), (2, 'b')) TO STDOUT (FORMAT csv)") as copy:
        assert driver.wait(read_copy(copy)) == (b"1,a\n2,b\n", 2)
    fails = "COPY (SELECT 1 / (3 - n) FROM generate_series(1, 3) n) TO STDOUT"
    with (
        pytest.raises(psycopg.errors.DivisionByZero),
        transaction.atomic(),
        driver.cursor() as cursor,
        cursor.copy(fails) as copy,
    ):
        driver.wait(read_copy(copy))


@postgresql
@borrows(
    "psycopg",
    "Cursor.pgresult",
    users="config.api.database.statements exports.rows.chunks",
    remedy="Fetch rows by the cursor: they are decoded then, and encoded again.",
)
@pytest.mark.django_db
def test_a_result_gives_its_bytes_as_they_came() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'é' UNION ALL SELECT 'b'")
        result = cursor.pgresult
        assert (result.ntuples, result.get_value(0, 0)) == (2, "é".encode())
        assert cursor.fetchone() == ("é",)
        cursor.scroll(1, "absolute")
        assert cursor.fetchone() == ("b",)


@postgresql
@borrows(
    "psycopg",
    "Connection._prepared PrepareManager._prepared_idx",
    users="config.api.database.statements",
    remedy="Prepare by SQL, PREPARE and EXECUTE, under names of our own.",
)
@pytest.mark.django_db
def test_a_prepared_statement_has_a_name_of_its_connection() -> None:
    connection.ensure_connection()
    driver: Any = connection.connection
    for number in range(2):
        open_cursor(connection).execute(f"SELECT 'a name of its own', {number}")
    found = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%of its own%' ORDER BY name"
    first, second = (int(name.removeprefix("_pg3_")) for (name,) in driver.execute(found))
    assert second == first + 1 > FIRST_NAME


@borrows(
    "psycopg",
    "Connection.limits",
    users="config.process.limits",
    remedy="Remember by a WeakKeyDictionary which connections have their limits: slots leave no room for ours.",
)
def test_a_drivers_connection_has_room_for_what_it_was_told() -> None:
    driver: Any = object.__new__(psycopg.Connection)
    assert not hasattr(driver, "limits")
    driver.limits = "ours"
    assert driver.limits == "ours"


# -- Django, pinned to a minor release --------------------------------------------------------------------------------


@borrows(
    "Django",
    "DatabaseWrapper._prepare_cursor",
    users="config.api.database.statements",
    remedy="Without it a prepared read goes past the debug toolbar, the observers and Django's own errors.",
)
@pytest.mark.django_db
def test_django_wraps_a_cursor_of_ours() -> None:
    connection.ensure_connection()
    driver: Any = connection.connection
    seen = []

    def note(execute: Any, *call: Any) -> Any:
        seen.append(call[0])
        return execute(*call)

    wrap: Any = connection._prepare_cursor  # type: ignore[attr-defined]  # the stubs don't know it
    with connection.execute_wrapper(note), wrap(inner := driver.cursor()) as cursor:
        assert cursor.cursor is inner
        cursor.execute("SELECT 1")
    assert seen == ["SELECT 1"]


@borrows(
    "Django",
    "DatabaseWrapper._connection_pools",
    users="config.server config.operation.pools",
    remedy="Find the pools of a process elsewhere: /metrics shows them, and a fork must not inherit one.",
)
def test_the_pools_of_a_process_are_kept_by_alias() -> None:
    settings = connections.settings["default"] | {"NAME": "x", "PASSWORD": "", "CONN_MAX_AGE": 0}
    wrapper: Any = PostgresWrapper(settings | {"OPTIONS": {"pool": True}}, alias="canary")
    try:
        pool = wrapper.pool
        assert PostgresWrapper._connection_pools["canary"] is pool  # type: ignore[attr-defined]
        assert {"pool_size", "pool_available", "requests_waiting"} <= pool.pop_stats().keys()
    finally:
        wrapper.close_pool()
    assert "canary" not in PostgresWrapper._connection_pools  # type: ignore[attr-defined]


@borrows(
    "Django",
    "connections.__setitem__ connections.__delitem__ DatabaseWrapper.inc_thread_sharing",
    users="config.api.database.lending",
    remedy="RequestSlots would need a connection a thread again, of which there are hundreds.",
)
def test_a_connection_goes_from_thread_to_thread() -> None:
    taken = take_connections()
    try:
        lent = connections["default"]
        lent.inc_thread_sharing()  # as take_connections() does
        assert lent.allow_thread_sharing
        del connections["default"]
        assert connections["default"] is not lent
        connections["default"] = lent
        assert connections["default"] is lent
    finally:
        put_connections(taken)


@borrows(
    "Django",
    "DatabaseWrapper.run_on_commit",
    users="config.api.freshness.commits",
    remedy="A write must ask once a transaction for its commit; expect_commit() looks whether it has.",
)
@pytest.mark.django_db(transaction=True)
def test_hooks_of_a_transaction_are_seen_and_go_with_it() -> None:
    def hook() -> None: ...

    assert connection.run_on_commit == []
    with transaction.atomic():
        transaction.on_commit(hook)
        assert hook in connection.run_on_commit[-1]
        with transaction.atomic():
            transaction.on_commit(print)
            transaction.set_rollback(True)
        assert len(connection.run_on_commit) == 1
    assert connection.run_on_commit == []


@borrows(
    "Django",
    "DatabaseWrapper.execute_wrappers",
    users="config.api.database.connections",
    remedy="A wrapper of every connection must stand around those that are added for a while.",
)
@pytest.mark.django_db
def test_the_first_wrapper_is_the_outermost() -> None:
    seen = []

    def note(name: str, execute: Any, *call: Any) -> Any:
        seen.append(name)
        return execute(*call)

    outer = partial(note, "outer")
    with connection.execute_wrapper(partial(note, "inner")):
        connection.execute_wrappers.insert(0, outer)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.execute_wrappers.remove(outer)
    assert seen == ["outer", "inner"]


@borrows(
    "Django",
    "tuple_lookups.Tuple tuple_lookups.TupleLessThan tuple_lookups.TupleLessThanOrEqual"
    " tuple_lookups.TupleGreaterThan tuple_lookups.TupleGreaterThanOrEqual",
    users="config.api.reads.cursors",
    remedy="A cursor must be compared as a row: spelled out by columns it is no range of the index.",
)
def test_rows_are_compared_as_rows() -> None:
    names = ("created_at", "id")
    values = [Given(index, Product._meta.get_field(name)) for index, name in enumerate(names)]
    rows = Product.objects.filter(TupleLessThan(Tuple(*map(models.F, names)), values))
    columns = '("catalog_product"."created_at", "catalog_product"."id") < ('
    assert columns in str(rows.query.get_compiler(connection=connection).as_sql()[0])


@borrows(
    "Django",
    "SQLCompiler.select SQLCompiler.get_converters Query.order_by Query.default_ordering Query.standard_ordering"
    " Query.annotations Expression.as_sql",
    users="config.api.database.statements config.api.reads.orderings",
    remedy="Statements are compiled once and run many times: what looks at parameters must let a Placeholder pass.",
)
def test_a_compiled_statement_keeps_the_place_of_a_value() -> None:
    given = Given(0, Brand._meta.get_field("name"))
    rows = Brand.objects.annotate(one=models.Value(1)).filter(name=given).order_by("-name").only("name")
    compiler: Any = rows.query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    assert given.placeholder in parameters
    assert len(parameters) == sql.count("%s")
    assert [column.target.name for column, _, _ in compiler.select if hasattr(column, "target")] == ["id", "name"]
    assert isinstance(compiler.get_converters([column for column, _, _ in compiler.select]), dict)
    assert (rows.query.order_by, list(rows.query.annotations)) == (("-name",), ["one"])
    assert (rows.query.default_ordering, rows.query.standard_ordering) == (True, True)
    assert not rows.reverse().query.standard_ordering


@borrows(
    "Django",
    "base.ModelState Model.__new__",
    users="catalog.writes.batches",
    remedy="Make the rows of an import by the model's own __init__, at 17 microseconds a product instead of 2.",
)
@pytest.mark.django_db
def test_a_row_that_was_never_initialised_is_a_row() -> None:
    row = Batch(Product, "sku").start_row(sku="A", slug="a", title="A", price=1)
    assert row._state.adding
    assert vars(row).keys() == vars(Product()).keys()
    row.brand = brand = make_brand()
    row.save()
    assert Product.objects.select_related("brand").get(sku="A").brand == brand


@borrows(
    "Django",
    "HttpRequest._stream",
    users="config.middleware",
    remedy="Django must read a chunked body from what ChunkedBody has read ahead of it.",
)
def test_django_reads_a_body_from_its_stream() -> None:
    request: Any = RequestFactory().post("/", b"theirs", content_type="text/plain")
    request._stream = BytesIO(b"ours")
    assert request.body == b"ours"


@borrows(
    "Django",
    "WSGIRequest._set_content_type_params",
    users="config.wsgi",
    remedy="A Content-Type that can't be read is a 500 without a word, unless it is caught where it is parsed.",
)
def test_django_reads_the_content_type_in_one_place() -> None:
    class Told(WSGIRequest):
        def _set_content_type_params(self, meta: dict[str, Any]) -> None:
            self.content_type, self.content_params = "x", {}

    environ = RequestFactory()._base_environ(CONTENT_TYPE="text/plain; charset=")
    assert Told(environ).content_type == "x"


@borrows(
    "Django",
    "HttpResponse._has_been_logged",
    users="config.operation.health",
    remedy="A probe of a server that stops would be an ERROR line each.",
)
def test_an_answer_can_be_marked_as_logged(caplog: pytest.LogCaptureFixture) -> None:
    response: Any = HttpResponse(status=503)
    response._has_been_logged = True
    log_response("stopping", response=response, request=RequestFactory().get("/"))
    assert not caplog.records


@borrows(
    "Django",
    "GZipMiddleware.max_random_bytes text.compress_string text.compress_sequence",
    users="config.compression",
    remedy="An answer to a request with a cookie must not tell a secret by its length (BREACH): pad it in another way.",
)
def test_gzip_is_padded_at_random() -> None:
    most: int = GZipMiddleware.max_random_bytes
    assert most >= 100
    assert len({len(compress_string(b"secret", max_random_bytes=most)) for _ in range(200)}) > 20
    streams = (compress_sequence([b"secret"], max_random_bytes=most) for _ in range(200))
    assert len({len(b"".join(stream)) for stream in streams}) > 20


@borrows(
    "Django",
    "Query.__dict__",
    users="config.api.reads.beside",
    remedy="carry what `show_beside` says from a queryset to the next by other means: lists show it",
)
def test_each_query_has_the_attributes_of_the_one_before() -> None:
    rows = Product.objects.all()
    show_beside(rows, {"search": {}})
    assert find_beside(rows.filter(pk=1).order_by("pk").values("pk")[:3]) == {"search": {}}
    assert find_beside(Product.objects.all()) == {}


@borrows(
    "Django",
    "deletion.get_candidate_relations_to_delete",
    users="config.api.admin.deletion",
    remedy="The admin asks it which tables point at a row, before it deletes one.",
)
def test_django_lists_the_relations_that_a_deletion_follows() -> None:
    found = {relation.related_model for relation in get_candidate_relations_to_delete(Brand._meta)}
    assert Product in found


@borrows(
    "Django",
    "ModelAdmin._get_obj_does_not_exist_redirect",
    users="catalog.imports.admin",
    remedy="Send whoever asks for a row that is gone back to the admin's start page, with a message.",
)
def test_the_admin_leads_away_from_a_row_that_is_gone(rf: RequestFactory) -> None:
    request: Any = rf.get("/")
    request._messages = messages = CookieStorage(request)
    lead_away: Any = ModelAdmin(Brand, site)._get_obj_does_not_exist_redirect  # type: ignore[attr-defined]
    assert lead_away(request, Brand._meta, "7").url == reverse("admin:index")
    assert len(list(messages)) == 1


@borrows(
    "Django",
    "OutputWrapper._out",
    users="catalog.management.commands.import_products exports.management.commands.export",
    remedy="A progress bar needs the stream itself: the wrapper ends each write with a line break.",
)
def test_a_commands_output_has_its_stream() -> None:
    stream = StringIO()
    assert OutputWrapper(stream)._out is stream  # type: ignore[arg-type,attr-defined]


@borrows(
    "Django",
    "options.DEFAULT_NAMES state.DEFAULT_NAMES AlterModelOptions.ALTER_OPTION_KEYS",
    users="catalog.changes.logged",
    remedy="Keep Meta.logged in the state of migrations, or makemigrations loses the triggers of new columns.",
)
def test_an_option_of_ours_is_part_of_a_migrations_state() -> None:
    kept = ModelState.from_model(Brand)
    assert kept.options["logged"] == find_logged(Brand)
    operation = AlterModelOptions("brand", {"logged": find_logged(Product)})
    project = ProjectState({("catalog", "brand"): kept})
    operation.state_forwards("catalog", project)
    assert find_logged(project.apps.get_model("catalog", "brand")) == find_logged(Product)
    AlterModelOptions("brand", {}).state_forwards("catalog", project)
    assert find_logged(project.apps.get_model("catalog", "brand")) is None


@borrows(
    "Django",
    "DatabaseSchemaEditor._remake_table DatabaseSchemaEditor._alter_field DatabaseWrapper.SchemaEditorClass",
    users="config.api.database.schema_editors",
    remedy="Take the triggers down around whatever remakes a table on SQLite, and read test_followed_tables.py.",
)
def test_sqlite_remakes_a_table_in_one_place() -> None:
    assert list_parameters(sqlite.DatabaseSchemaEditor._remake_table) == [  # type: ignore[attr-defined]  # the stubs don't know it
        "self", "model", "create_field", "delete_field", "alter_fields",
    ]  # fmt: skip
    for altered in (sqlite.DatabaseSchemaEditor.add_constraint, sqlite.DatabaseSchemaEditor.add_field):
        assert "_remake_table" in altered.__code__.co_names
    assert connection.SchemaEditorClass in (SqliteEditor, PostgresqlEditor)


# -- Django REST framework ----------------------------------------------------------------------------------------


@borrows(
    "djangorestframework",
    "Request._request",
    users="config.api.access.privacy config.api.viewsets config.api.schema.documents",
    remedy="DRF's request must lead to Django's, which carries what the middleware left there.",
)
def test_a_request_of_drf_holds_djangos() -> None:
    request = RequestFactory().get("/")
    assert Request(request)._request is request


@borrows(
    "djangorestframework",
    "HttpRequest._force_auth_user",
    users="config.middleware",
    remedy="The cache would answer a test's signed-in client as anybody.",
)
def test_drfs_test_client_marks_whom_it_signs_in() -> None:
    request: Any = APIRequestFactory().get("/")
    assert getattr(request, "_force_auth_user", None) is None
    force_authenticate(request, user="somebody")  # type: ignore[arg-type]
    assert request._force_auth_user == "somebody"


@borrows(
    "djangorestframework",
    "DjangoModelPermissions._queryset",
    users="config.api.access.permissions",
    remedy="A caller without the permission must get its 403 before the 404 of a row above.",
)
@pytest.mark.django_db
def test_drf_asks_one_method_for_the_model_of_a_permission(rf: RequestFactory) -> None:
    class Told(DjangoModelPermissions):
        def _queryset(self, view: Any) -> Any:
            raise LookupError("asked")

    class View:
        _ignore_model_permissions = False

    request: Any = rf.post("/")
    request.user = make_user()
    with pytest.raises(LookupError, match="asked"):
        Told().has_permission(request, View())  # type: ignore[arg-type]


@borrows(
    "djangorestframework",
    "Field.source_attrs",
    users="config.api.reads.oracle",
    remedy="A nested list of `compiled = False` reads its first rows from where a Prefetch has put them.",
)
def test_a_field_reads_the_attributes_that_it_was_given() -> None:
    field: Any = CharField()
    field.bind("title", None)  # type: ignore[arg-type]
    assert field.source_attrs == ["title"]
    field.source_attrs = ["name"]
    assert field.get_attribute(Brand(name="a")) == "a"


# -- drf-spectacular ------------------------------------------------------------------------------------------------


@borrows(
    "drf-spectacular",
    "AutoSchema._get_paginator"
    " AutoSchema._map_basic_serializer AutoSchema._map_serializer_field AutoSchema._insert_field_validators"
    " AutoSchema._is_list_view",
    users="config.api.schema.kinds config.api.schema.answers config.api.schema.members",
    remedy="Compare the document with that of the last release, operation by operation: make serve, /api/v1/schema/.",
)
def test_drf_spectacular_asks_these_methods_for_the_parts_of_an_operation() -> None:
    expected = {
        "_get_paginator": [],
        "_map_basic_serializer": ["serializer", "direction"],
        "_map_serializer_field": ["field", "direction", "bypass_extensions"],
        "_insert_field_validators": ["field", "schema"],
        "_is_list_view": ["serializer"],
    }
    schema = AutoSchema()
    assert {name: list_parameters(getattr(schema, name)) for name in expected} == expected


@borrows(
    "drf-spectacular",
    "SpectacularRedocView._redoc_standalone",
    users="config.api.schema.documents",
    remedy="ReDoc's page must load our copy of its script, which asks no other host for a picture.",
)
def test_redocs_page_asks_where_its_script_is(client: Client) -> None:
    assert isinstance(inspect.getattr_static(SpectacularRedocView, "_redoc_standalone"), staticmethod)
    assert b'src="?script=' in client.get("/api/v1/redoc/", headers={"accept": "text/html"}).content


# -- others -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(REDIS is None, reason="the scripts are Redis's")
@borrows(
    "limits",
    "RedisStorage._previous_window_key RedisStorage._current_window_key RedisStorage.lua_sliding_window"
    " RedisStorage.lua_acquire_sliding_window RedisStorage.SCRIPT_SLIDING_WINDOW"
    " RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW",
    users="config.api.access.rate_store",
    remedy="Call acquire_sliding_window_entry() and get_sliding_window() instead: two trips to Redis for one.",
)
def test_the_scripts_of_limits_count_as_its_own_methods_do() -> None:
    storage = InRedis()
    for taken in (1, 2, 3):
        assert storage.take("canary", 2, 60)[0] == (taken <= 2)
        assert storage.get_sliding_window("canary", 60)[2] == min(taken, 2)  # their own way sees what ours took
    storage.reset()


def test_the_scripts_of_limits_are_where_they_were() -> None:
    """Without Redis: that they are there and take what we give them."""
    assert list_parameters(RedisStorage._previous_window_key) == ["self", "key"]
    assert list_parameters(RedisStorage._current_window_key) == ["self", "key"]
    assert b"ARGV[3]" in RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW


@borrows(
    "django-rest-knox",
    "TokenAuthentication._cleanup_token models.get_digest_token settings.CONSTANTS",
    users="accounts.authentication accounts.tokens",
    remedy="Knox must not read all of a user's tokens with each request, and our tokens must be found by its look-up.",
)
def test_knox_finds_the_tokens_that_we_write() -> None:
    assert list_parameters(TokenAuthentication._cleanup_token) == ["self", "auth_token"]
    assert "self._cleanup_token(" in inspect.getsource(TokenAuthentication.authenticate_credentials)
    digest, secret = get_digest_token()
    assert len(secret) > CONSTANTS.TOKEN_KEY_LENGTH
    assert digest not in secret


@borrows(
    "django-unfold",
    "UnfoldAdminSite._search_apps views.ChangeList",
    users="config.api.admin.lists config.api.admin.site",
    remedy="The palette behind Ctrl+K lists the tables by it; unfold's own would unpickle what the cache holds.",
)
def test_unfold_searches_the_names_of_the_tables() -> None:
    assert ChangeList.__mro__[1].__module__ == "django.contrib.admin.views.main"
    apps = [{"name": "Shop", "app_url": "/a/", "models": [{"name": "Products", "admin_url": "/b/"}]}]
    [found] = UnfoldAdminSite()._search_apps(apps, "prod")
    assert (found.title, found.link) == ("Products", "/b/")


# The digests of unfold's templates of which ours are copies, with the ids that aria-describedby names.
COPIED = {
    "unfold/helpers/edit_inline/tabular_field.html": "ab1aab4fedf9",
    "unfold/helpers/form_errors.html": "9abbf6fc9ed1",
    "unfold/helpers/help_text.html": "7c3b12a6d62d",
}


@pytest.mark.once
def test_unfolds_templates_are_those_that_ours_are_copies_of() -> None:
    """If not: carry the change over, or drop ours if unfold writes the ids by now; then write the new digest here."""
    theirs, ours = Path(inspect.getfile(UnfoldAdminSite)).parent / "templates", ROOT / "config/templates"
    copied = sorted(str(file.relative_to(ours)) for file in (ours / "unfold").rglob("*.html"))
    found = {name: hashlib.sha256((theirs / name).read_bytes()).hexdigest()[:12] for name in copied}
    assert found == COPIED


@borrows(
    "Django",
    "AdminSite._registry",
    users="config.api.admin.site",
    remedy="Apps stand in the admin's index in the order of it: keep it by overriding register().",
)
def test_the_admin_keeps_the_order_in_which_tables_were_registered() -> None:
    tables = list(site._registry)
    assert tables.index(Brand) < tables.index(User) < tables.index(DBTaskResult)


@borrows(
    "rq",
    "Worker.handle_warm_shutdown_request Worker.setup_work_horse_signals Worker.fork_work_horse"
    " Worker.main_work_horse Worker.perform_job",
    users="config.worker",
    remedy="A job's fork must begin and end log and metrics by hand, and be told to stop with its worker.",
)
def test_rq_runs_a_job_by_these_methods() -> None:
    assert list_parameters(Worker.handle_warm_shutdown_request) == ["self"]
    assert list_parameters(Worker.setup_work_horse_signals) == ["self"]
    assert list_parameters(Worker.fork_work_horse) == ["self", "job", "queue"]
    assert "self.setup_work_horse_signals()" in inspect.getsource(Worker.main_work_horse)
    assert "self.perform_job(job, queue)" in inspect.getsource(Worker.main_work_horse)
    assert "self.main_work_horse(job, queue)" in inspect.getsource(Worker.fork_work_horse)


@borrows(
    "django-tasks-db",
    "db_worker.Worker.shutdown db_worker.Worker.__init__",
    users="config.worker",
    remedy="A worker of the database's table must tell its task to stop.",
)
def test_the_tables_worker_is_built_and_stopped_as_we_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STOP, "shared", bytearray(1))  # else every later test's job would stop at its first step
    worker: Any = build_table_worker()
    assert worker.running
    worker.running_task = True  # else it leaves at once, by SystemExit
    worker.shutdown(15, None)
    assert not worker.running
    assert STOP.has_begun


@borrows(
    "django-storages",
    "S3Storage._normalize_name",
    users="config.api.jobs.s3",
    remedy="A range of a file must be asked for under the same key as the whole.",
)
def test_s3_keys_are_below_the_storages_location() -> None:
    assert S3Storage(bucket_name="b", location="files")._normalize_name("a.csv") == "files/a.csv"


@borrows(
    "Python",
    "QueueListener._thread",
    users="config.logs",
    remedy="A fork must know that the thread which writes the lines isn't there.",
)
def test_a_listener_shows_whether_it_writes() -> None:
    listener = QueueListener(Queue(), logging.NullHandler())
    assert listener._thread is None
    listener.start()
    assert listener._thread is not None
    listener.stop()
    assert listener._thread is None


@borrows(
    "Python",
    "multiprocessing.util.Finalize",
    users="config.logs config.metrics",
    remedy="atexit does the same in granian's workers from Python 3.13 on.",
)
def test_a_finalizer_runs_at_the_end_of_a_process() -> None:
    ended: Queue[str] = Queue()
    multiprocessing.util.Finalize(None, ended.put, args=("ended",), exitpriority=0)
    multiprocessing.util._run_finalizers(0)  # type: ignore[attr-defined]  # what a process runs at its end
    assert ended.get_nowait() == "ended"


@pytest.fixture
def toolbar() -> Iterator[None]:
    with modify_settings(INSTALLED_APPS={"append": "debug_toolbar"}):
        yield


@borrows(
    "django-debug-toolbar",
    "tracking.NormalCursorMixin NormalCursorMixin._record tracking.patch_cursor_wrapper_with_mixin tracking.allow_sql"
    " tracking.SQLQueryTriggered",
    users="config.toolbar",
    remedy="The panel must be told of each statement by an observer, since prepared reads go past its own cursor.",
)
@pytest.mark.django_db
@pytest.mark.usefixtures("toolbar")
def test_the_toolbar_writes_down_what_an_observer_saw() -> None:
    panels = importlib.import_module("config.toolbar")
    told: Any = type("Told", (), {"record": lambda self, **seen: statements.append(seen["sql"])})()
    statements: list[str] = []
    with connection.cursor() as cursor:
        mixed = panels.patch_cursor_wrapper_with_mixin(type(cursor), panels.NormalCursorMixin)
        result = mixed(cursor.cursor, connection, told)._record(lambda sql, params: "done", "SELECT 1", None)
    assert (result, len(statements), panels.allow_sql.get()) == ("done", 1, True)
    assert issubclass(panels.SQLQueryTriggered, Exception)


# -- the table and the sources ------------------------------------------------------------------------------------

# Underscored names that their packages document: the models' API, named tuples, what a manager and a storage of one's
# own have.
DOCUMENTED = {"_meta", "_base_manager", "_default_manager", "_state", "_asdict", "_make", "_replace", "_db", "_open"}


def is_private(name: str) -> bool:
    return name.startswith("_") and name != "_" and not name.startswith("__")


@cache
def list_modules() -> tuple[ModuleType, ...]:
    """With the app of the debug toolbar, which is there with DEBUG=true alone."""
    packages = map(importlib.import_module, PACKAGES)
    infos = chain.from_iterable(pkgutil.walk_packages(one.__path__, f"{one.__name__}.") for one in packages)
    return tuple(importlib.import_module(info.name) for info in infos if ".migrations" not in info.name)


@cache
def read_tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text())


def list_defined(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives to something of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def list_used(tree: ast.AST) -> Iterator[str]:
    """Names that are looked up on something, imported, or asked for by getattr()."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (*str(node.module).split("."), *(name.name for name in node.names))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
            yield from (str(part.value) for part in node.args if isinstance(part, ast.Constant))


def list_classes(module: ModuleType) -> Iterator[tuple[ast.ClassDef, list[type]]]:
    """Each class of the module, and those of others' that it is built on."""
    for node in read_tree(module).body:
        if isinstance(node, ast.ClassDef):
            bases = getattr(module, node.name).__mro__[1:-1]
            yield node, [base for base in bases if base.__module__.split(".")[0] not in PACKAGES]


def list_attributes(node: ast.ClassDef) -> Iterator[str]:
    """What its methods put on `self`."""
    for below in ast.walk(node):
        if isinstance(below, ast.Attribute) and isinstance(below.ctx, ast.Store) and ast.unparse(below.value) == "self":
            yield below.attr


def has_name(base: type, name: str) -> bool:
    """Whether a class has it, or puts it on its instances."""
    return name in vars(base) or name in list_its_attributes(base)


@cache
def list_its_attributes(base: type) -> frozenset[str]:
    try:
        return frozenset(re.findall(r"\bself\.(_\w+)", inspect.getsource(base)))
    except (OSError, TypeError):
        return frozenset()  # built in, or made by a call


def list_shared(module: ModuleType, *, ours: bool) -> Iterator[str]:
    """Private names of our classes: those that are ours, or those that a class of others below it has too."""
    for node, bases in list_classes(module):
        for name in filter(is_private, {*list_defined(node), *list_attributes(node)}):
            if ours != any(has_name(base, name) for base in bases):
                yield name


@borrows(
    "openpyxl",
    "ReadOnlyWorksheet._worksheet_path",
    users="catalog.imports.sheets",
    remedy="Find the sheet's file by xl/_rels/workbook.xml.rels: formulas without a result are seen in it.",
)
def test_openpyxl_tells_the_file_of_a_sheet() -> None:
    stream = BytesIO()
    openpyxl.Workbook().save(stream)
    sheet: Any = openpyxl.load_workbook(stream, read_only=True).worksheets[0]
    assert sheet._worksheet_path == "xl/worksheets/sheet1.xml"


@borrows(
    "openpyxl",
    "ReadOnlyWorksheet._get_row",
    users="catalog.imports.sheets",
    remedy="A row must cost its filled cells, not its width: read WorkSheetParser's rows another way.",
)
def test_openpyxl_makes_rows_by_a_method_that_can_be_replaced() -> None:
    book, stream = openpyxl.Workbook(), BytesIO()
    book.active["C2"] = "x"
    book.save(stream)
    sheet: Any = openpyxl.load_workbook(stream, read_only=True).worksheets[0]
    sheet.reset_dimensions()
    sheet._get_row = lambda row, *_: [(cell["row"], cell["column"], cell["value"]) for cell in row]
    assert [list(row) for row in sheet.iter_rows(max_row=2)] == [[], [(2, 3, "x")]]


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.usefixtures("toolbar")
def test_each_private_name_of_another_package_is_in_the_table() -> None:
    modules = list_modules()
    listed = {part for row in TABLE for name in row.names for part in name.split(".")} | DOCUMENTED
    own = {name for module in modules for name in list_defined(read_tree(module))}
    own |= {name for module in modules for name in list_shared(module, ours=True)}
    unlisted = {
        f"{module.__name__}: {name}"
        for module in modules
        for name in {*(set(list_used(read_tree(module))) - own), *list_shared(module, ours=False)} - listed
        if is_private(name)
    }
    assert not unlisted, "borrowed without a canary; use something public, or add a row to tests/test_borrowed.py"


@pytest.mark.once
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.package} {row.names[0]}")
def test_a_row_names_what_its_users_use(row: Borrowed) -> None:
    sources = "".join((ROOT / f"{user.replace('.', '/')}.py").read_text() for user in row.users)
    assert all(name.split(".")[-1].strip("_") in sources for name in row.names if "__" not in name), row


PINNED = ("granian==", "django-unfold==", "limits==", "psycopg[binary,pool]==", "drf-spectacular==")


@pytest.mark.once
def test_what_would_break_silently_is_pinned_to_the_locked_version() -> None:
    required = (ROOT / "pyproject.toml").read_text()
    locked = (ROOT / "requirements.lock").read_text()
    for pin in PINNED:
        version = required.partition(f'"{pin}')[2].partition('"')[0]
        name = pin.partition("[")[0].removesuffix("==")
        assert version, f"{name} isn't pinned exactly"
        assert f"\n{name}=={version} " in locked, f"{name}: {version} isn't the locked one"


def test_a_canary_that_fails_says_what_to_do() -> None:
    @borrows("a package", "a_name", users="config.a", remedy="Do that.")
    def canary() -> None:
        raise ImportError("gone")

    TABLE.pop()
    with pytest.raises(AssertionError, match=r"a package: a_name .* config\.a .* Do that\. \(ImportError\('gone'\)\)"):
        canary()
