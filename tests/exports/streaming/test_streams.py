"""What a stream costs and what it survives: memory, queries, connections, rows that come and go, a server's end."""

import json
import os
import signal
import socket
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import AuthToken
from catalog.models import Product, ProductText
from exports.formats.encoders import parse_rows
from exports.formats.tallies import Tally
from exports.management.commands.export import OPERATOR
from exports.rows import chunks as rows
from exports.rows.chunks import Chunk, Query, find_ends, make_query, read_chunks
from exports.streaming import streams
from exports.streaming.hangups import ClientConnection
from exports.streaming.streams import cut_blocks, stream_rows
from tests.exports.conftest import make_many
from tests.factories import make_user
from tests.launching import find_database_url, start
from tests.services import free_port, stop_process, wait_for_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
NDJSON = "/api/v1/exports/products.ndjson"


def build_query(name: str = "ndjson", text: str = "") -> Query:
    return make_query("products", OPERATOR, QueryDict(text), name)


def read_all(query: Query) -> Iterator[Chunk]:
    # From the first id on: earlier tests on PostgreSQL have used up to some 100,000.
    low, high = find_ends(query)
    return read_chunks(query, max(0, low - 1), high)


def stream_ndjson() -> Iterator[bytes]:
    return stream_rows(build_query(), 0, Tally(), lambda: 1)


# -- blocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1000, 100_000, 1_000_000, 2_500_000])
def test_a_piece_leaves_at_once_in_blocks_of_one_size(size: int) -> None:
    piece = bytes(index % 251 for index in range(size))
    blocks = list(cut_blocks([piece]))
    assert b"".join(blocks) == piece
    sizes = {len(block) for block in blocks}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= streams.BLOCK_BYTES
    assert len(blocks) == 1 or min(sizes) >= streams.BLOCK_BYTES // 2
    assert 128 * 1024 <= streams.BLOCK_BYTES <= 512 * 1024


def test_no_block_is_empty() -> None:
    # An empty chunk is the end of a chunked body.
    assert list(cut_blocks([b"", b"a", b""])) == [b"a"]


# -- costs --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_queries_grow_with_chunks_and_not_with_rows(name: str, small_chunks: int) -> None:
    text = "" if name == "csv" else "expand=brand,images,variants.stock"
    costs = {}
    for number in (0, 1, 2, 3, 7, 10):
        Product.objects.all().delete()
        make_many(number, prefix=f"Q{number}-")
        with CaptureQueriesContext(connection) as captured:
            assert sum(chunk.rows for chunk in read_all(build_query(name, text))) == number
        costs[number] = len(captured)
    # 1. and 2. the ends; then two for the first chunk: its upper id, and its rows with all that is expanded in them. No
    # id is missing, so each of the others is so many ids, and takes one.
    assert costs == {0: 2, 1: 4, 2: 4, 3: 4, 7: 6, 10: 7}


@pytest.mark.django_db
def test_the_first_byte_waits_for_few_rows_or_none() -> None:
    make_many(rows.FIRST_ROWS + 100)
    csv, ndjson = (stream_rows(build_query(name), 0, Tally(), lambda: 1) for name in ("csv", "ndjson"))
    with CaptureQueriesContext(connection) as captured:
        assert next(csv).startswith(b"id,sku,")
    # The cursor of the change feed and the two ends, each by its index; no row of the table.
    assert [query["sql"] for query in captured if "title" in query["sql"]] == []
    first = b"".join([next(ndjson), next(ndjson)])
    assert 0 < first.count(b"\n") <= rows.FIRST_ROWS


@pytest.mark.django_db
def test_chunks_grow_to_one_size_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FIRST_ROWS", 1)
    monkeypatch.setattr(rows, "CHUNK_BYTES", 90_000)
    make_many(600)  # of some 900 bytes each
    sizes = [len(chunk.data) for chunk in read_all(build_query())]
    assert sizes[0] < 2000
    assert all(later <= 9 * earlier for earlier, later in pairwise(sizes))
    assert all(80_000 < size < 100_000 for size in sizes[3:-1])


@pytest.mark.django_db
def test_filters_that_keep_nothing_look_at_so_many_ids_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "GREATEST_SPAN", 3)
    ids = [product.pk for product in make_many(10)]
    found = list(read_all(build_query(text="price_min=5")))
    assert [chunk.rows for chunk in found] == [0] * len(found)
    assert max(later.last_id - earlier.last_id for earlier, later in pairwise(found)) == 3
    assert found[-1].last_id == ids[-1]
    assert list(cut_blocks(chunk.data for chunk in found)) == []


def measure_peak() -> int:
    """The greatest memory of an export, in bytes."""
    tracemalloc.start()
    try:
        for _ in stream_ndjson():
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.django_db
def test_memory_is_the_same_for_ten_times_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    # A tenth of the few rows, that both are many chunks.
    monkeypatch.setattr(rows, "CHUNK_BYTES", 50_000)
    make_many(500)
    measure_peak()  # what is built once
    few = measure_peak()
    make_many(4500, prefix="M")
    many = measure_peak()
    # The body of 5,000 rows is 5 MB.
    assert many < few * 2, f"{few:,} bytes for 500 rows, {many:,} for 5,000"


# -- the connection -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_no_transaction_is_open_while_a_client_reads(name: str, small_chunks: int) -> None:
    make_many(7)
    for _ in read_all(build_query(name)):
        assert not connection.in_atomic_block
        if connection.vendor == "postgresql":
            assert connection.connection.info.transaction_status.name == "IDLE"
        else:
            assert not connection.connection.in_transaction
            # A statement that still reads would refuse this.
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_a_connection_that_is_not_to_be_kept_goes_back_after_each_chunk(name: str, small_chunks: int) -> None:
    make_many(7)
    kept = connection.settings_dict["CONN_MAX_AGE"]
    connection.close()
    # As with DATABASE_POOL, where close() gives it back.
    connection.settings_dict["CONN_MAX_AGE"] = 0
    try:
        for _ in read_all(build_query(name)):
            assert connection.connection is None
    finally:
        connection.settings_dict["CONN_MAX_AGE"] = kept


@pytest.mark.django_db
def test_rows_that_stay_come_once_while_others_come_and_go(small_chunks: int) -> None:
    products = make_many(12)
    seen = []
    for number, chunk in enumerate(read_all(build_query())):
        seen += [row["id"] for row in parse_rows(chunk.data)]
        if number == 0:
            gone = [products[1], products[4], products[11]]
            Product.objects.filter(pk__in=[product.pk for product in gone]).delete()
            make_many(5, prefix="late")
        # Everything that was read or is to be read moves in every other order.
        Product.objects.update(title=f"Changed {number}")
    stayed = [product.pk for product in products if product not in gone[1:]]
    assert seen == stayed


# -- a real server ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def granian(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a granian over the test database, whose third chunk fails where `fail` is a file; its log."""
    folder, port = tmp_path_factory.mktemp("granian"), free_port()
    log = folder / "log"
    # The pool gets to prove that nothing is left in it.
    environment = os.environ | {
        "DATABASE_URL": find_database_url(),
        "DATABASE_POOL": "2" if connection.vendor == "postgresql" else "0",
        "LOG_LEVEL": "INFO",
        "FAIL_WHILE": str(folder / "fail"),
        "PYTHONPATH": str(ROOT),
    }
    command = ["-m", "granian", "--interface", "wsgi", "--port", str(port), "--blocking-threads", "2", "--no-ws"]
    with log.open("ab") as output:
        process = start([*command, "tests.exports.failing:application"], environment, output, output, folder)
        try:
            wait_for_port(port)
            yield port, log
        finally:
            stop_process(process, signal.SIGTERM)


@pytest.fixture
def server(transactional_db: None, granian: tuple[int, Path]) -> tuple[int, Path]:
    """The same without a fault, and with an empty log."""
    granian[1].write_bytes(b"")
    granian[1].with_name("fail").unlink(missing_ok=True)
    return granian


def ask(port: int, token: str, encoding: str = "identity", room: int = 0) -> socket.socket:
    """The connection on which it asked; with `room`, for long texts, and for so few bytes before somebody reads."""
    client = socket.socket()
    if room:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    query = "?fields=id,description" if room else ""
    client.sendall(
        f"GET {NDJSON}{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n"
        f"Accept-Encoding: {encoding}\r\nX-Request-ID: over-the-wire\r\nConnection: close\r\n\r\n".encode()
    )
    return client


def read_to_end(client: socket.socket) -> bytes:
    received = bytearray()
    with closing(client):
        while block := client.recv(65_536):
            received += block
    return bytes(received)


def read_log(log: Path, number: int = 1, seconds: float = 10) -> dict[str, object]:
    """The line of the export of this number, once it is written."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = [json.loads(text) for text in log.read_text().splitlines() if text.startswith("{")]
        if len(found := [line for line in lines if line["message"] == "export"]) >= number:
            return dict(found[number - 1])
        time.sleep(0.05)  # another process writes it
    raise AssertionError(log.read_text())


@pytest.fixture
def token(transactional_db: None) -> str:
    return str(AuthToken.objects.create(make_user("Export partner"))[1])


def test_a_whole_export_ends_with_the_terminating_chunk_and_one_that_fails_without_it(
    server: tuple[int, Path], token: str
) -> None:
    make_many(3000)
    received = read_to_end(ask(server[0], token))
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding: chunked" in head.lower()
    assert body.endswith(b"\r\n0\r\n\r\n")
    assert b'{"_end":true,"rows":3000,' in body
    line = read_log(server[1])
    assert (line["status"], line["rows"], line["request_id"]) == ("complete", 3000, "over-the-wire")
    server[1].with_name("fail").touch()
    for number, encoding in enumerate(("identity", "gzip"), 2):
        head, _, body = read_to_end(ask(server[0], token, encoding)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert len(body) > 1000
        assert not body.endswith(b"0\r\n\r\n")
        line = read_log(server[1], number)
        assert (line["status"], line["request_id"]) == ("cut", "over-the-wire")
        assert server[1].read_text().count("RuntimeError: the third chunk is lost") >= number - 1


def test_only_the_connection_that_got_the_bytes_is_cut() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        clients, ends = [], []
        for _ in range(3):
            clients.append(stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=5))))
            ends.append(stack.enter_context(closing(listener.accept()[0])))
        ends[1].sendall(b"an earlier answer")
        connection = ClientConnection(port)
        for chunk in (b"a" * 40_000, b"b" * 10_000):
            connection.add(chunk)
        ends[0].sendall(b"x" * 40_000)
        ends[1].sendall(b"HTTP/1.1 200 OK\r\n" + b"x" * 50_000)
        assert connection.cut() == 1
        assert read_to_end(clients[1]).endswith(b"x")
        for end, client in ((ends[0], clients[0]), (ends[2], clients[2])):
            end.sendall(b"still here")
            assert client.recv(100_000)


def make_more_than_sockets_hold() -> None:
    """So many bytes, 12 MB, that the server waits for who doesn't read."""
    make_many(2_000)
    ProductText.objects.update(description="x" * 6_000)


def test_clients_that_leave_or_read_nothing_give_back_threads_and_connections(
    server: tuple[int, Path], token: str
) -> None:
    make_more_than_sockets_hold()
    for number in range(1, 5):
        with closing(ask(server[0], token, room=4096)) as client:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        line = read_log(server[1], number)
        assert (line["status"], line["request_id"]) == ("cut", "over-the-wire")
    whole = read_to_end(ask(server[0], token, room=4096))
    assert len(whole) > 12_000_000
    assert b'{"_end":true,"rows":2000,' in whole
    if connection.vendor == "postgresql":  # the embedded database has no pool
        check_that_no_connection_is_kept(server[0], token)


def check_that_no_connection_is_kept(port: int, token: str) -> None:
    with closing(ask(port, token, room=4096)), connection.cursor() as cursor:
        end = time.monotonic() + 10
        states: list[str] = ["active"]
        while "active" in states and time.monotonic() < end:
            time.sleep(0.2)
            cursor.execute(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            states = [state for (state,) in cursor.fetchall()]
        assert set(states) <= {"idle"}
    assert settings.DATABASES["default"]["CONN_MAX_AGE"] == 600


def test_a_real_token_is_taken(client: APIClient, token: str) -> None:
    answer = client.get(NDJSON, HTTP_AUTHORIZATION=f"Token {token}")
    assert answer.status_code == 200
    assert b"_end" in b"".join(answer)
