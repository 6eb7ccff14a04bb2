"""Workers that die in the middle of an import, and files that are bombs: real processes, killed and measured."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter
import zstandard
from django.conf import settings as project
from django.db import connection
from django.utils import timezone
from pyarrow import parquet

from catalog.models import Change, ImportJob, Product, ProductText, Stock, Variant
from tests.catalog.imports.test_costs import make_rows
from tests.factories import make_caller
from tests.launching import Process, find_database_url, start

pytestmark = pytest.mark.slow
# A format or a signal is the same on SQLite, where a worker is killed above.
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="seen on PostgreSQL")

URL = "/api/v1/imports/"
# Twelve batches, of 250 rows in `make test-faults`.
BATCH = int(os.environ.get("IMPORT_BATCH", "50"))
ROWS = 12 * BATCH
# So many that a worker which is told to stop is still at work.
MANY = 3_000


@pytest.fixture
def start_worker(files: Path) -> Iterator[Callable[..., Process]]:
    """A worker on the tests' database, with small batches, and leases of a second or of so many.

    It dies before its checkpoint number `dies_at`; 0 means never.
    """
    environment = os.environ | {
        "DATABASE_URL": find_database_url(),
        "EXPORT_STORAGE_URL": f"file://{files}",
        "REDIS_URL": "",
    }
    workers: list[Process] = []

    def start_worker(lease_seconds: int = 1, dies_at: int = 0) -> Process:
        own = {"JOB_LEASE_SECONDS": str(lease_seconds), "BATCH": str(BATCH), "DIES_AT": str(dies_at)}
        workers.append(start(["-m", "tests.catalog.worker"], environment | own, sys.__stdout__, sys.__stderr__))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.kill()
        worker.wait()


def wait_until(is_so: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.03)  # a look at another process's work; nothing tells us earlier


def kill(worker: Process) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def wait_for_death(worker: Process) -> None:
    assert worker.wait(timeout=90) == -signal.SIGKILL


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_half_way_loses_and_doubles_no_row(
    start_worker: Callable[..., Process],
) -> None:
    caller = make_caller("Catalogue editor")
    rows = MANY if connection.vendor == "postgresql" else ROWS
    near_end = str(rows - 10).encode()
    content = make_rows(rows).replace(b"S7,Lamp 7,1,", b"S7,Lamp 7,x,").replace(b"S%s," % near_end, b"S3,")
    answer = caller.generic("POST", URL, content, "text/csv")
    assert answer.status_code == 201, answer.content
    job_id = answer.json()["id"]
    if connection.vendor == "postgresql":
        hand_over(job_id, start_worker)
    # The tests' own queue forgets tasks: the workers' sweep finds the job, now and once it is lost.
    wait_for_death(start_worker(dies_at=2))
    half = ImportJob.objects.get(pk=job_id)
    assert half.status == "running"
    # What is in, and what the job says is in, are one transaction.
    assert 0 < half.report["products"]["created"] == Product.objects.count() < rows - 2
    before = dict(Product.objects.values_list("sku", "pk"))

    start_worker()
    wait_until(lambda: ImportJob.objects.get(pk=job_id).status == "ready")
    job = ImportJob.objects.get(pk=job_id)
    assert job.fence > half.fence
    assert job.report["products"] == {"created": rows - 2, "updated": 0, "unchanged": 0, "refused": 2}
    assert list(job.errors.values_list("line", "key")) == [(9, "S7"), (rows - 8, "S3")]
    assert list(job.refused.values_list("line", flat=True)) == [9, rows - 8]
    assert (job.refused_rows, job.refused_rows_kept) == (2, 2)
    counts = [model.objects.count() for model in (Product, ProductText, Variant, Stock)]
    assert counts == [rows - 2] * 4
    assert before.items() <= dict(Product.objects.values_list("sku", "pk")).items()
    caller.head("/api/v1/changes/")
    if connection.vendor == "sqlite":  # on PostgreSQL a worker numbers them in its own time
        created = Change.objects.filter(entity="product", op="create")
        assert created.count() == created.values("entity_id").distinct().count() == rows - 2


def hand_over(job_id: int, start_worker: Callable[..., Process]) -> None:
    """A worker that is told to stop gives the job back; its lease is one that nobody waits for."""
    # For a sweep, as if it had been lost.
    ImportJob.objects.update(pushed_at=timezone.now() - timedelta(hours=1))
    worker = start_worker(lease_seconds=120)
    wait_until(Product.objects.exists)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    # A batch and the one that was read meanwhile: 2 s, and 6 beside the other half of the suite; the lease has 120.
    assert time.monotonic() - began < 20
    half = ImportJob.objects.get(pk=job_id)
    assert (half.status, half.leased_until) == ("running", None)
    assert 0 < half.report["products"]["created"] == Product.objects.count() < MANY - 2


def make_shop() -> bytes:
    """Products of two rows, the second ones all behind the first ones."""
    first = "".join(f"h{number},Lamp {number},Size,S,1\n" for number in range(ROWS // 2))
    rest = "".join(f"h{number},,,L,2\n" for number in range(ROWS // 2))
    return f"Handle,Title,Option1 Name,Option1 Value,Variant Price\n{first}{rest}".encode()


def make_catalogue() -> bytes:
    lines: list[dict[str, Any]] = [{"_type": "brand", "slug": "acme", "name": "Acme"}]
    for number in range(ROWS):
        variants = [{"sku": f"S{number}", "price": "1.00", "stock": [{"location": "main", "on_hand": 1}]}]
        lines.append({"_type": "product", "sku": f"S{number}", "title": "Lamp", "brand": "acme", "variants": variants})
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


# The header of each format, and a row for each number.
TABLES = {
    "woocommerce": ("ID,Type,SKU,Name,Published,Regular price", "{n},simple,S{n},Lamp,1,1"),
    "google": ("id\ttitle\tprice\tavailability\timage_link", "S{n}\tLamp\t1 USD\tin_stock\thttps://i.example/{n}.jpg"),
    "bigcommerce": ("Item,Name,SKU,Price,Options,Current Stock", "Product,Lamp,S{n},1,,1"),
    "square": ("Token,Item Name,Variation Name,SKU,Price", "T{n},Lamp {n},Regular,S{n},1"),
    "etsy": ("TITLE,PRICE,QUANTITY,CURRENCY_CODE,SKU", "Lamp,1,1,USD,S{n}"),
    "prestashop": ("Product ID;Name *;Price tax excluded;Reference #", "{n};Lamp;1;S{n}"),
    "magento": ("sku,name,price,product_type,product_online,qty", "S{n},Lamp,1,simple,1,1"),
    "matrixify": ("Handle,Command,Title,Variant SKU,Variant Price", "h{n},MERGE,Lamp,S{n},1"),
    "medusa": ("Product Handle,Product Title,Variant SKU,Variant Price USD", "h{n},Lamp,S{n},1"),
    "spree": ("slug,sku,name,price,inventory_count", "h{n},S{n},Lamp,1,1"),
}
PLAIN = [{"sku": f"S{number}", "title": "Lamp", "price": "1"} for number in range(ROWS)]


def make_workbook() -> bytes:
    book = BytesIO()
    with xlsxwriter.Workbook(book, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate([list(PLAIN[0]), *(list(row.values()) for row in PLAIN)]):
            sheet.write_row(number, 0, row)
    return book.getvalue()


def make_parquet() -> bytes:
    file = BytesIO()
    parquet.write_table(pa.Table.from_pylist(PLAIN), file)
    return file.getvalue()


def make_feed() -> bytes:
    item = "<item><g:id>S{n}</g:id><title>Lamp</title><g:price>1 USD</g:price></item>"
    items = "".join(item.format(n=number) for number in range(ROWS))
    return f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{items}</channel></rss>'.encode()


OTHERS: dict[str, Callable[[], bytes]] = {
    "shopify": make_shop,
    "tenfold": make_catalogue,
    "ndjson": lambda: "".join(f"{json.dumps(row)}\n" for row in PLAIN).encode(),
    "json": lambda: json.dumps(PLAIN).encode(),
    "xlsx": make_workbook,
    "parquet": make_parquet,
    "google, as XML": make_feed,
}


def make_file(kind: str) -> bytes:
    if kind in OTHERS:
        return OTHERS[kind]()
    header, row = TABLES[kind]
    return "".join(f"{line}\n" for line in (header, *(row.format(n=number) for number in range(ROWS)))).encode()


SUITE = ("shopify", "tenfold")
RARE = [pytest.param(kind, marks=pytest.mark.faults) for kind in (*TABLES, *OTHERS) if kind not in SUITE]


@on_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [*SUITE, *RARE])
def test_a_worker_killed_in_a_file_of_another_format_loses_no_row(
    kind: str, start_worker: Callable[..., Process]
) -> None:
    products = ROWS // 2 if kind == "shopify" else ROWS
    content, kind = make_file(kind), kind.partition(",")[0]
    answer = make_caller("Catalogue editor").generic("POST", URL, content, "application/octet-stream")
    assert answer.json()["format"] == kind
    wait_for_death(start_worker(dies_at=2))
    assert 0 < Product.objects.count() < products
    start_worker()
    wait_until(lambda: ImportJob.objects.get(pk=answer.json()["id"]).status == "ready")
    job = ImportJob.objects.get()
    assert job.report["products"] == {"created": products, "updated": 0, "unchanged": 0, "refused": 0}
    assert [Product.objects.count(), Variant.objects.count()] == [products, ROWS]


# -- bombs ----------------------------------------------------------------------------------------------------------

MEASURE = """
import re, sys, time
from pathlib import Path
import django
django.setup()
from catalog.imports.errors import BadFile
from catalog.imports.uploads import store_upload
for path in sys.argv[1:]:
    began = time.process_time()
    try:
        with open(path, "rb") as bomb:
            store_upload(bomb, "bomb")
    except BadFile as error:
        # The peak of this process alone, so far; ru_maxrss has its parent's, too.
        peak = re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())
        print(time.process_time() - began, peak[1], error)
"""


def pack_one_frame(gigabytes: int) -> bytes:
    """Zeros, of which 64 KB come to 2 GB."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    pieces = [packer.compress(bytes(10_000_000)) for _ in range(100 * gigabytes)]
    return b"".join([*pieces, packer.flush()])


def pack_wide() -> bytes:
    """Rows in a frame that asks for a window of 256 MiB, which isn't needed."""
    wide = zstandard.ZstdCompressionParameters(window_log=28, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    return packer.compress(make_rows(10)) + packer.flush()


BOMBS: dict[str, Callable[[], bytes]] = {
    "one frame": lambda: pack_one_frame(2),
    "many frames": lambda: zstandard.compress(bytes(10_000_000)) * 1_000,
    "members of gzip": lambda: gzip.compress(bytes(10_000_000)) * 1_000,
    "wide window": pack_wide,
}


def test_a_decompression_bomb_is_refused_in_a_second_and_in_little_memory(tmp_path: Path, files: Path) -> None:
    bombs = [tmp_path / kind for kind in BOMBS]
    for bomb in bombs:
        bomb.write_bytes(BOMBS[bomb.name]())
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings", "EXPORT_STORAGE_URL": f"file://{files}",
    }  # fmt: skip
    command = [sys.executable, "-c", MEASURE, *map(str, bombs)]
    output = subprocess.run(
        command, cwd=project.BASE_DIR, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    for kind, line in zip(BOMBS, output.splitlines(), strict=True):
        seconds, kilobytes, reason = line.split(" ", 2)
        assert "decompresses to more than 200 times" in reason or "can't be decompressed" in reason, kind
        assert float(seconds) < 1, kind
        # All of the process, Django with it.
        assert int(kilobytes) < 200 * 1024, kind
    assert not [path for path in files.rglob("*") if path.is_file()]


@pytest.mark.django_db
def test_a_decompression_bomb_is_refused_by_its_request(files: Path) -> None:
    caller = make_caller("Catalogue editor")
    bomb = pack_one_frame(1)
    began = time.process_time()
    answer = caller.generic("POST", URL, bomb, "application/zstd")
    assert time.process_time() - began < 1
    assert (answer.status_code, answer.json()["code"]) == (422, "file_refused")
    assert "no catalogue does" in answer.json()["detail"]
    assert not ImportJob.objects.exists()
