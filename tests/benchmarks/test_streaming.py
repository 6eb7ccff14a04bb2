"""What the rows of exports are measured with: the SELECT that psql copies, the memory, what a difference is."""

import json
import os
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from tests.benchmarks.figures import GROWTH, PROMISES, compare, compare_all
from tests.benchmarks.load import read_output
from tests.benchmarks.measure import Sample
from tests.benchmarks.processes import read_memory, read_peak
from tests.benchmarks.streaming import CSV, FIRST_BYTE, FIRST_EMPTY, NDJSON, print_statements, read_cells
from tests.factories import make_brand, make_product

OUTPUT = """     50%  2.50ms
     99%  1.25s
  1000 requests in 2.00s, 1.00MB read
"""


def test_the_slowest_hundredth_is_read_from_what_wrk_says() -> None:
    assert read_output(OUTPUT).tail_ms == 1250


def test_a_difference_is_no_ratio() -> None:
    [promise] = [promise for promise in PROMISES if promise.upper == FIRST_BYTE]
    samples = {FIRST_BYTE: [Sample(1, 60, 0, 0)], FIRST_EMPTY: [Sample(1, 20, 0, 0)]}
    assert compare(samples, promise).value.median == 40
    assert compare(samples, promise).is_kept


def test_the_growth_of_memory_is_in_mebibytes() -> None:
    [figure] = compare_all({}, {GROWTH: (140 * 2**20, 100 * 2**20)})
    assert (figure.promise, figure.value.median, figure.is_kept) == (GROWTH, 40, False)


def test_the_peak_is_what_a_process_had_at_most() -> None:
    before = read_memory(os.getpid())
    assert len(b"x" * 200_000_000) == 200_000_000
    assert read_peak(os.getpid()) >= before + 150_000_000


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the benchmark runs on PostgreSQL")
@pytest.mark.django_db
def test_psql_runs_the_copy_that_the_stream_sends(staff: APIClient, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        make_product(title=f'=A "{number}"\\', brand=make_brand("Acme"), attributes={"a": 'b"'})
    print_statements()
    statements = json.loads(capsys.readouterr().out)
    csv, ndjson = (b"".join(stream(staff, url)) for url in (CSV, NDJSON))
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY ({statements['csv']}) TO STDOUT (FORMAT csv)") as copy:
            assert b"".join(copy) == csv.partition(b"\n")[2]
        cursor.execute(statements["ndjson"])
        assert [text.encode() for (text,) in cursor.fetchall()] == ndjson.splitlines()[:-1]
    [first, *_] = read_cells(csv)
    assert first["attributes"] == {"a": 'b"'}


def stream(client: APIClient, url: str) -> Any:
    return client.get(url)
