"""Hostile text through every format and back: nothing is lost, nothing is run."""

import csv
import io
import json
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape
from rest_framework.test import APIClient

from catalog.models import Product
from exports.jobs import parquet, planning
from exports.jobs.xlsx import EXACT_DIGITS
from tests.exports.conftest import ask_for, download, make_many
from tests.factories import make_brand, make_product

pytestmark = pytest.mark.django_db

# What breaks quoting, lines, formulas and XML; and whatever else a person may paste.
HOSTILE = st.text(
    st.sampled_from("=+-@\t\r\n,;\"'<>&\\_x0041é😀\u2028\u200b\x01\x0b\ufffe 7")
    | st.characters(exclude_categories=["Cs"]),
    min_size=1,
    max_size=30,
).filter(lambda text: "\0" not in text and text.strip())
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(0)"]
ROUNDS = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def keep(*titles: str) -> None:
    Product.objects.all().delete()
    for number, title in enumerate(titles):
        make_product(title=title, sku=f"S{number}", attributes={"size": title})


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def read_sheet(content: bytes) -> list[dict[str, Any]]:
    head, *rows = load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
    return [
        {name: unescape(value) if isinstance(value, str) else value for name, value in zip(head, row, strict=True)}
        for row in rows
    ]


@pytest.mark.slow
@ROUNDS
@given(titles=st.lists(HOSTILE, min_size=1, max_size=4))
def test_text_comes_back_from_csv_and_ndjson(titles: list[str], caller: APIClient) -> None:
    keep(*titles)
    rows = read_csv(download(caller, ask_for(caller, fields="title,attributes", raw=True)))
    assert [row["title"] for row in rows] == titles
    assert [json.loads(row["attributes"]) for row in rows] == [{"size": title} for title in titles]
    lines = download(caller, ask_for(caller, format="ndjson", fields="title")).splitlines()
    assert [json.loads(line)["title"] for line in lines] == titles
    Product.objects.all().delete()


@pytest.mark.slow
@ROUNDS
@given(titles=st.lists(HOSTILE, min_size=1, max_size=4))
def test_text_comes_back_from_parquet(titles: list[str], caller: APIClient) -> None:
    keep(*titles)
    table = pq.read_table(io.BytesIO(download(caller, ask_for(caller, format="parquet", fields="title,attributes"))))
    assert table["title"].to_pylist() == titles
    assert [json.loads(text) for text in table["attributes"].to_pylist()] == [{"size": title} for title in titles]
    Product.objects.all().delete()


@pytest.mark.slow
@ROUNDS
@given(titles=st.lists(HOSTILE, min_size=1, max_size=4))
def test_text_comes_back_from_xlsx(titles: list[str], caller: APIClient) -> None:
    keep(*titles)
    rows = read_sheet(download(caller, ask_for(caller, format="xlsx", fields="title")))
    assert [row["title"] for row in rows] == titles
    Product.objects.all().delete()


def test_parquet_has_types(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    monkeypatch.setattr(planning, "PART_ROWS", 2)
    make_product(
        price="1234567890.12", brand=make_brand("Acme"), rating="4.50", created_at="2026-01-02T03:04:05.678901Z"
    )
    make_many(4)
    fields = "id,sku,price,in_stock,rating,brand,created_at,compare_at_price"
    content = download(caller, ask_for(caller, format="parquet", fields=fields))
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    assert [row.pop("brand") for row in rows] == ["Acme", None, None, None, None]
    assert [row.pop("rating") for row in rows] == [Decimal("4.50"), None, None, None, None]
    columns = [name for name in fields.split(",") if name not in ("brand", "rating")]
    assert rows == list(Product.objects.order_by("pk").values(*columns))
    assert pq.ParquetFile(io.BytesIO(content)).num_row_groups > 1


def test_a_sheet_has_numbers_flags_and_no_formula(caller: APIClient) -> None:
    keep(*FORMULAS)
    Product.objects.filter(sku="S0").update(price="1234567890.12", rating="0")
    content = download(caller, ask_for(caller, format="xlsx", fields="title,price,in_stock,rating"))
    sheet = load_workbook(io.BytesIO(content)).active
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr"}
    rows = read_sheet(content)
    assert [row["title"] for row in rows] == FORMULAS
    assert (rows[0]["price"], rows[0]["in_stock"], rows[0]["rating"]) == (1234567890.12, True, None)
    assert len("1234567890.12") - 1 <= EXACT_DIGITS


@pytest.mark.parametrize("title", FORMULAS)
def test_a_formula_in_a_csv_is_inert(title: str, caller: APIClient) -> None:
    keep(title)
    [row] = read_csv(download(caller, ask_for(caller, fields="title,price")))
    # A blank that itself counts as the sign of a formula ends a cell, too.
    assert (row["title"], row["price"]) == ("'" + re.sub(r"(?<=[\t\r])=", "'=", title), "10.00")
    [row] = read_csv(download(caller, ask_for(caller, fields="title", raw=True)))
    assert row["title"] == title


# Behind each separator that a spreadsheet may take instead of the comma, and behind a line's end.
BEHIND = ["x;=1+1", "x|@SUM(A1)", "x\t-1", "x\n+1", "x\r=1", 'x;"=1;']


@pytest.mark.parametrize("title", BEHIND)
def test_a_formula_behind_another_separator_is_inert(title: str, caller: APIClient) -> None:
    keep(title)
    Product.objects.update(attributes={"size": title})
    [row] = read_csv(download(caller, ask_for(caller, fields="title,attributes")))
    assert row["title"] == f"{title[:2]}'{title[2:]}"
    assert not re.search(r"[;|][=+@-]", row["attributes"])
    assert json.loads(row["attributes"]) == {"size": title}
    [row] = read_csv(download(caller, ask_for(caller, fields="title", raw=True)))
    assert row["title"] == title


# Comma, double quote, UTF-8, from the first line on, numbers found, and formulas run where there are any.
OFFICE_CSV = "CSV:44,34,76,1,,0,false,true,false,false,false,0,true"


def open_in_office(content: bytes, suffix: str, folder: Path, csv: str = OFFICE_CSV) -> list[Any]:
    """The cells below the head, as LibreOffice takes them: read by it, and written again as a workbook."""
    source = folder / f"source.{suffix}"
    source.write_bytes(content)
    profile = f"-env:UserInstallation={folder.as_uri()}/profile"
    command = ["soffice", profile, "--headless", *([f"--infilter={csv}"] if suffix == "csv" else [])]
    result = folder / "result"
    subprocess.run(
        [*command, "--convert-to", "xlsx", "--outdir", str(result), str(source)],
        check=True, timeout=180, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    sheet = load_workbook(result / "source.xlsx").active
    return [cell for row in sheet.iter_rows(min_row=2) for cell in row]


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice isn't on this machine")
@pytest.mark.parametrize(("format_", "raw"), [("csv", False), ("csv", True), ("xlsx", False)])
def test_libreoffice_runs_a_formula_of_a_raw_csv_alone(
    format_: str, raw: bool, caller: APIClient, tmp_path: Path
) -> None:
    keep(*FORMULAS, "'=1+1", "\n=1+1", " =1+1", '"=1+1"', "=cmd|' /C calc'!A0", ";=1+1")
    content = download(caller, ask_for(caller, format=format_, fields="title", raw=raw))
    kinds = {cell.data_type for cell in open_in_office(content, format_, tmp_path)}
    assert ("f" in kinds) == raw
    assert raw or kinds == {"s"}


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice isn't on this machine")
@pytest.mark.parametrize("sign", [";", "|", "\t"])
@pytest.mark.parametrize("raw", [False, True])
def test_libreoffice_with_another_separator_runs_a_formula_of_a_raw_csv_alone(
    sign: str, raw: bool, caller: APIClient, tmp_path: Path
) -> None:
    keep(f"x{sign}=1+1", f'x{sign}"=1+1{sign}', "x\n=1+1")
    content = download(caller, ask_for(caller, fields="sku,title", raw=raw))
    separator = OFFICE_CSV.replace("CSV:44", f"CSV:{ord(sign)}")
    kinds = {cell.data_type for cell in open_in_office(content, "csv", tmp_path, separator)}
    assert ("f" in kinds) == raw


def test_a_text_that_no_cell_holds_ends_the_job_with_its_row(caller: APIClient) -> None:
    make_product(description="x" * 32_767)
    make_product(description="x" * 32_768)
    job = ask_for(caller, format="xlsx", fields="description")
    assert job.status == "failed"
    assert "description in row 2 has more than 32767 characters" in job.error


def test_lists_of_addresses_and_texts_are_one_cell(caller: APIClient) -> None:
    make_product(attributes={"colors": ["red", "green"]})
    job = ask_for(caller, format="xlsx", fields="id,attributes,images_url,variants_url")
    [row] = read_sheet(download(caller, job))
    assert json.loads(row["attributes"]) == {"colors": ["red", "green"]}
