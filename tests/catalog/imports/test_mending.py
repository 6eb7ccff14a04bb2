"""The refused rows of an import as a file: mended and sent again, it imports the rest."""

import csv
import io
import json
from typing import Any
from unittest.mock import patch

import openpyxl
import pytest
from rest_framework.test import APIClient

from catalog.imports import mending
from catalog.models import ImportJob, Product, RefusedRow, Variant
from tests.catalog.conftest import URL, import_file, send_body
from tests.factories import make_caller

pytestmark = pytest.mark.django_db


def fetch(caller: APIClient, job: ImportJob) -> Any:
    return caller.get(f"{URL}{job.pk}/refused/")


def read_table(caller: APIClient, job: ImportJob) -> list[dict[str, str]]:
    text = b"".join(fetch(caller, job).streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def write_table(rows: list[dict[str, str]]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


@pytest.mark.usefixtures("small_batches")
def test_a_mended_file_imports_what_was_refused(caller: APIClient) -> None:
    good = "".join(f"G{number};Torch;1;\n" for number in range(25))
    content = f"sku;product;price;remark\nA;Lamp;x;=1+1\n{good}B;;2;é\nG7;Twice;3;\n"
    job = import_file(caller, content.encode(), map="title=product")
    answer = fetch(caller, job)
    assert answer["Content-Disposition"] == f'attachment; filename="import-{job.pk}-refused.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = read_table(caller, job)
    assert list(rows[0]) == ["sku", "product", "price", "remark", "import_error"]
    assert [(row["sku"], row["remark"]) for row in rows] == [("A", "'=1+1"), ("B", "é"), ("G7", "")]
    assert rows[0]["import_error"].startswith("line 2: price: 'x' is not a number")
    assert rows[1]["import_error"].startswith("line 28: title: ")

    rows[0]["price"], rows[1]["product"], rows[2]["sku"] = "1", "Bulb", "C"
    again = import_file(caller, write_table(rows), map="title=product")
    assert again.report["products"] == {"created": 3, "updated": 0, "unchanged": 0, "refused": 0}
    assert [one["column"] for one in again.unread_columns] == ["remark"]
    assert Product.objects.count() == 28


def test_all_rows_of_a_refused_product_are_in_the_file(caller: APIClient) -> None:
    rows = [
        {
            "Handle": handle, "Title": title, "Option1 Name": "Size", "Option1 Value": size,
            "Variant SKU": f"{handle}-{size}", "Variant Price": price,
        }
        for handle, title, size, price in (
            ("cup", "Cup", "S", "1"), ("mug", "Mug", "S", "2"), ("cup", "", "L", "2"), ("mug", "", "L", "dear"),
        )
    ]  # fmt: skip
    job = import_file(caller, write_table(rows))
    assert job.format == "shopify"
    kept = read_table(caller, job)
    assert [(row["Handle"], row["Option1 Value"], bool(row["import_error"])) for row in kept] == [
        ("mug", "S", False),
        ("mug", "L", True),
    ]
    kept[1]["Variant Price"] = "3"
    again = import_file(caller, write_table(kept))
    assert (again.format, again.report["products"]["created"], again.unread_columns) == ("shopify", 1, [])
    assert Variant.objects.count() == 4


def test_json_is_mended_as_lines(caller: APIClient) -> None:
    entries = [{"sku": "A", "title": "Lamp", "price": 1}, {"sku": "B", "price": "é", "attributes": {"a": [1, None]}}]
    job = import_file(caller, json.dumps(entries).encode(), name="file.json")
    (line,) = b"".join(fetch(caller, job).streaming_content).decode().splitlines()
    kept = json.loads(line)
    assert kept.pop("import_error").startswith("line 2: ")
    assert kept == entries[1]
    again = send_body(caller, line.encode(), kind="application/x-ndjson")
    assert again.status_code == 201
    assert "import_error" not in str(again.json()["unread_columns"])


def test_numbers_of_a_workbook_keep_the_decimal_sign_of_the_import(caller: APIClient) -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in (("sku", "title", "price"), ("A", "", 12.5), ("B", "Lamp", 3)):
        book.active.append(row)  # type: ignore[union-attr]  # a new book has a sheet
    book.save(file)
    job = import_file(caller, file.getvalue(), name="file.xlsx", decimal=",")
    (row,) = read_table(caller, job)
    assert (row["sku"], row["price"]) == ("A", "12,5")


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("dry_run", [True, False])
def test_the_file_has_the_first_rows_up_to_its_bound(caller: APIClient, dry_run: bool) -> None:
    content = b"sku,title,price\n" + b"".join(b"S%03d,Lamp,x\n" % number for number in range(30))
    size = len(json.dumps({"sku": "S000", "title": "Lamp", "price": "x"}))
    with patch.object(mending, "MOST_KEPT", 12 * size):
        job = import_file(caller, content, dry_run=dry_run)
    assert [row["sku"] for row in read_table(caller, job)] == [f"S{number:03}" for number in range(12)]
    body = caller.get(f"{URL}{job.pk}/").json()
    assert (body["refused_rows"], body["refused_rows_kept"]) == (30, 12)
    assert caller.get(body["refused_url"]).status_code == 200


def test_the_mended_file_never_archives_the_other_products(caller: APIClient) -> None:
    job = import_file(caller, b"sku,title,price\nA,Lamp,x\nB,Torch,1\n")
    answer = send_body(caller, write_table(read_table(caller, job)), "missing=archive")
    assert answer.status_code == 422
    assert "the refused rows of another file (column import_error)" in answer.json()["detail"]


def test_only_its_owner_fetches_it_and_it_goes_with_its_job(caller: APIClient) -> None:
    job = import_file(caller, b"sku,title,price\nA,Lamp,x\n")
    assert fetch(make_caller("Catalogue editor"), job).status_code == 404
    assert fetch(APIClient(), job).status_code == 401
    assert fetch(caller, import_file(caller, b"sku,title,price\nB,Lamp,1\n")).getvalue() == (
        "\ufeffsku,title,price,import_error\r\n".encode()
    )
    job.discard()
    assert not RefusedRow.objects.exists()
