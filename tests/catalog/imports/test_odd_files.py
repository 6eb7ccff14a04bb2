"""Files that went wrong somewhere: each is read as it was meant, or refused with the reason and what to do.

No database is asked.
"""

import datetime
import json
from io import BytesIO
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.imports.errors import BadFile, BadRow
from catalog.imports.formats.mapping import map_columns
from catalog.imports.options import Options
from catalog.imports.readers import check_text, open_source
from catalog.writes.drafts import ProductDraft
from tests.catalog.imports.test_formats import read

pytestmark = pytest.mark.once

GOOD = b"sku,title,price\nA,T,1\n"
ROW = '{"sku":"A","title":"T","price":1}'


def list_skus(content: bytes | str, name: str = "file.csv", **options: Any) -> list[str | None]:
    _, rows = read(content, name, **options)
    return [row.sku for row in rows if isinstance(row, ProductDraft)]


def list_reasons(content: bytes | str, name: str = "file.csv", **options: Any) -> list[str]:
    _, rows = read(content, name, **options)
    return [refusal.reason for row in rows if isinstance(row, BadRow) for refusal in row.refusals]


def save_workbook(*sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def save_parquet(**columns: Any) -> bytes:
    stream = BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\n\n" + GOOD, "file.csv"),
        (b",,\r\n" + GOOD, "file.csv"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD, "twice_marked.csv"),
        (GOOD + b"\x1a", "dos.csv"),
        (GOOD, "table.ndjson"),
        (f"[{ROW}]\n".encode(), "list.ndjson"),
        (json.dumps(json.loads(ROW), indent=1).encode(), "pretty.ndjson"),
        (f'{{"rows": [{ROW}], "next": null}}'.encode(), "page.json"),
        (f"[{ROW},]".encode(), "file.json"),
    ],
)
def test_a_file_is_read_as_it_was_meant(content: bytes, name: str) -> None:
    assert (list_skus(content, name), list_reasons(content, name)) == (["A"], [])


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"sku^title^price\nA^T^1\n", "f.csv", "separate the columns by one of , ; TAB |, or put a line sep=^ above"),
        (b'"sku,title,price"\n"A,T,1"\n', "f.csv", "don't quote a line as a whole"),
        (b"'sku','title','price'\n'A','T','1'\n", "f.csv", 'stand in quotes of another kind than "'),
        (b"sku,title,price,Price\nA,T,1,2\n", "f.csv", "has two columns of price, 'price' and 'Price': rename"),
        (b"sku,title,price,weight,Weight (kg)\n", "f.csv", "or choose one, as in map weight=Weight (kg)"),
        (b"oops\n{", "f.ndjson", "has no column sku"),
        (b'{"sku":\n{"sku":', "f.ndjson", "its row 1 is not JSON"),
        (b'["sku"]\n["A"]\n', "f.ndjson", "its row 1 is JSON, but not an object: write"),
        (b"[" * 100_000, "f.json", "its row 1 is not JSON (too deep or a number too long)"),
        (b"MZ\x90\0\3\0\0\0" * 80, "f.csv", "isn't a text, nor a file of another type that is read here"),
        (b"ARROW1\0\0", "f.feather", "is an Arrow file (Feather): save the table as Parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", "f.csv", "is a pointer of Git LFS: fetch"),
        (save_parquet(sku=["A"], Sku=["B"]), "f.parquet", "has two columns of sku, 'sku' and 'Sku'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_as_what_it_is(content: bytes, name: str, sentence: str) -> None:
    with pytest.raises(BadFile) as raised:
        read(content, name)
    assert sentence in str(raised.value)


def test_one_of_two_columns_of_a_field_can_be_chosen() -> None:
    content = BytesIO(b"sku,title,price,Price\nA,T,1,2\n")
    options = Options(map="price=Price")
    assert map_columns(open_source(content, "f.csv", options), options.map)["price"] == ("Price",)


def test_a_column_twice_in_a_parquet_file_is_refused() -> None:
    stream = BytesIO()
    pq.write_table(pa.table([["A"], [1], [2]], names=["sku", "price", "price"]), stream)
    with pytest.raises(BadFile, match="has two columns 'price': rename one of them"):
        read(stream.getvalue(), "f.parquet")


def test_bytes_of_two_encodings_are_no_reason_to_guess_a_third() -> None:
    content = "sku,title,price\nA,Größe Café,1\n".encode() + b"B,Caf\xe9,1\n"
    with pytest.raises(BadFile, match="line 3 has the byte 0xE9, though the texts around are: correct what is wrong"):
        check_text(BytesIO(content), "f.csv", Options())


@pytest.mark.parametrize(
    ("content", "name", "reasons"),
    [
        (f"[{ROW}]\n[{ROW}]", "f.json", ["the row comes after the end of the list, and wasn't read; send one list"]),
        (f"[{ROW}] x", "f.json", ["the row comes after the end of the list, and wasn't read; send one list"]),
        (
            f'{ROW}\n{{"sku":"B","sku":"C"}}\n',
            "f.ndjson",
            ["the row is not JSON (an object has two members 'sku'); write one object a line"],
        ),
        (
            b"sku,title,price\nA\nB,T,1,2\n",
            "f.csv",
            [
                "the row has 1 cell, but the header has 3 columns; add the missing ones, and quote cells that contain"
                " a line break",
                "the row has 4 cells, but the header has 3 columns; quote cells that contain the separator",
            ],
        ),
        (
            b"sku,title,price\nA," + b"x" * 200_000 + b",1\n",
            "f.csv",
            ["the row has a cell of more than 131,072 characters; close its quote, or shorten it"],
        ),
        (
            b"sku,title,price,attributes\n" + b'A,T,1,"{""a"": NaN}"\nB,T,1,"{""a"": 1, ""a"": 2}"\n',
            "f.csv",
            [
                "attributes: '{\"a\": NaN}' holds NaN, which is no number; remove it, or write null",
                "attributes: '{\"a\": 1, \"a\": 2}' isn't clear: an object has two members 'a'; keep one of them",
            ],
        ),
        (
            save_parquet(sku=[b"A\xff"], title=["T"], price=[1]),
            "f.parquet",
            ["the row has bytes that aren't UTF-8; write the column as a text"],
        ),
    ],
)
def test_what_a_row_loses_is_said(content: bytes | str, name: str, reasons: list[str]) -> None:
    assert list_reasons(content, name) == reasons


COMMA = (
    "has a comma, between thousands or before decimal places; name the decimal sign by the option decimal, as . or ,"
)
ROUNDED = "is a number that a spreadsheet has rounded; show all of its digits there, and save again"
FAILED = "is the error of a formula, or of a column that was too narrow; correct it, or enter the code"


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("price", "12,50", COMMA),
        ("price", "1.299,50", COMMA),
        ("stock", "1,000", COMMA),
        ("weight", "1,5 kg", COMMA),
        ("price", "1.23E+05", ROUNDED),
        ("stock", "1E+03", ROUNDED),
        ("barcode", "#########", FAILED),
        ("barcode", "#BEZUG!", FAILED),
        ("barcode", "#¿NOMBRE?", FAILED),
        ("barcode", "#NV", FAILED),
    ],
)
def test_a_cell_says_which_option_it_needs_or_what_a_spreadsheet_did(field: str, value: str, rule: str) -> None:
    content = f'sku,title,"{field}"\nA,T,"{value}"\n'
    assert list_reasons(content) == [f"{field}: '{value}' {rule}"]


def test_a_list_of_tags_may_be_json() -> None:
    _, rows = read(b'sku,title,price,tags\nA,T,1,"[""x"", ""y, z""]"\nB,T,1,"[x], y"\n')
    assert [row.attributes["tags"] for row in rows if isinstance(row, ProductDraft)] == [["x", "y, z"], ["[x]", "y"]]


# -- workbooks and Parquet -----------------------------------------------------------------------------------------

HEADER = ["sku", "title", "price"]


def test_the_sheet_with_names_of_columns_is_read() -> None:
    content = save_workbook([["Read me"], ["Products are on the next sheet"]], [HEADER, ["A", "T", 1]])
    run, rows = read(content, "f.xlsx")
    assert [row.sku for row in rows if isinstance(row, ProductDraft)] == ["A"]
    assert run.source.notes.as_json()[0]["used"] == "Sheet1"


def test_a_formula_that_nobody_has_calculated_is_no_blank_cell() -> None:
    with pytest.raises(BadFile, match="has a formula without a result in the cell C2: open it in a spreadsheet"):
        read(save_workbook([HEADER, ["A", "T", "=1+1"]]), "f.xlsx")


def test_parquet_has_texts_objects_and_lists() -> None:
    attributes = pa.array([[("colour", "red")]], pa.map_(pa.string(), pa.string()))
    content = save_parquet(sku=[b"A"], title=["T"], price=[1.5], attributes=attributes, options=[{"Size": "M"}])
    _, rows = read(content, "f.parquet")
    (row,) = [row for row in rows if isinstance(row, ProductDraft)]
    assert row.only
    assert (row.sku, row.attributes, row.only.fields["options"]) == ("A", {"colour": "red"}, {"Size": "M"})
    assert list_reasons(save_parquet(sku=[datetime.date(2026, 1, 5)], title=["T"], price=[1]), "f.parquet")
