"""Files as people have them: separators, titles, encodings, archives, workbooks, lists; and what isn't taken."""

import gc
import gzip
import io
import json
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Sequence
from datetime import date
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.imports import sheets, trees
from catalog.imports.errors import BadFile
from catalog.imports.options import Options
from catalog.imports.readers import check_text, open_source
from catalog.imports.records import Source
from catalog.imports.unpacking import find_seekable
from catalog.writes.drafts import ProductDraft
from tests.catalog.imports.test_formats import draft, read, refuse
from tests.examples import share

ROWS = "sku,title,price\nA,Lamp,1.50\nB,Torch,2\n"


def open_bytes(content: str | bytes, name: str = "file.csv", **options: Any) -> Source:
    data = content.encode() if isinstance(content, str) else content
    check_text(io.BytesIO(data), name, Options(**options))
    return open_source(io.BytesIO(data), name, Options(**options))


def read_rows(content: str | bytes, name: str = "file.csv", **options: Any) -> list[dict[str, Any]]:
    records = list(open_bytes(content, name, **options).records)
    assert not [record.fault for record in records if record.fault]
    return [record.cells for record in records]


PLAIN = read_rows(ROWS)


def write_zip(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def write_xlsx(*rows: Sequence[Any], title: str = "Products", before: int = 0) -> bytes:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for number in range(before):
        sheet = book.create_sheet(f"Empty {number}")
    sheet.title = title
    for row in rows:
        sheet.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def write_tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return packed.getvalue()


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_any_usual_separator_and_line_end_is_read(separator: str, ends: str) -> None:
    assert read_rows(ROWS.replace(",", separator).replace("\n", ends)) == PLAIN


def test_the_separator_may_stand_in_the_first_line() -> None:
    assert read_rows("sep=^\n" + ROWS.replace(",", "^")) == PLAIN
    assert [record.line for record in open_bytes('"sep=;"\r\n' + ROWS.replace(",", ";")).records] == [3, 4]


def test_a_title_above_the_header_is_not_read() -> None:
    source = open_bytes('Our products,,\n"of May, ""all"" of them",,\n,,\n' + ROWS)
    assert [record.line for record in source.records] == [5, 6]
    assert source.notes.as_json()[0] | {"reason": ""} == {"option": "header", "used": "line 4", "reason": ""}


def test_separators_without_cells_do_not_count() -> None:
    assert (
        read_rows("sku,title,price,,\nA,Lamp,1.50,,\nB,Torch,2\n".replace("B,Torch,2", "B,Torch,2,,,,"))[1]["sku"]
        == "B"
    )
    assert read_rows("sku,title,price\nA,Lamp,1.50,,\nB,Torch,2, ,\n") == PLAIN
    _, *faults = open_bytes("sku,title,price\nA,Lamp,1\nB,Torch,2,x\n").records
    assert "has 4 cells, but the header has 3 columns" in faults[0].fault


def test_names_of_columns_may_have_odd_blanks_and_unseen_characters() -> None:
    names = '\u00a0sku\u200b,Option1\u00a0 Name,"compare at\nprice"'
    assert list(open_bytes(f"{names}\nA,Size,1\n").columns) == ["sku", "Option1 Name", "compare at price"]


@pytest.mark.parametrize("sign", ["\u2028", "\u0085", "\v"])
def test_a_file_whose_lines_end_by_another_sign_is_named_as_one(sign: str) -> None:
    with pytest.raises(BadFile, match=rf"its column names hold U\+{ord(sign):04X}, where some programs end a line"):
        open_bytes(f"sku,title,price{sign}A,Lamp,1")


def test_a_file_without_a_header_is_named_as_one() -> None:
    with pytest.raises(BadFile, match=r"has no header: its first line has '9780000000001', which is no column's name"):
        open_bytes("Book,9780000000001,Photography,9780000000001,9.99\n")


def test_a_wide_first_line_is_refused_in_linear_time() -> None:
    with pytest.raises(BadFile, match="has 40,001 columns"):
        open_bytes("sku" + ",title" * 40_000 + "\n")


# -- encodings -----------------------------------------------------------------------------------------------------

ACCENTS = "sku,title,price\nA,Café crème,1.50\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_read_without_an_option(encoding: str) -> None:
    assert read_rows(ACCENTS.encode(encoding))[0]["title"] == "Café crème"


@pytest.mark.parametrize(
    ("text", "encoding", "seen"),
    [
        ("Café crème, Größe", "windows-1252", "windows-1252"),
        ("Настольная лампа", "windows-1251", "windows-1251"),
        ("Łóżko źrebię świąteczne", "windows-1250", "windows-1250"),
        ("Größe für Türen, Käse", "cp850", "cp850"),
        ("Größe für Türen, Käse", "mac_roman", "mac_roman"),
        ("テーブルランプ", "shift_jis", "shift_jis"),
        ("台灯商品目录", "gb18030", "gb18030"),
        ("台灣製造的檯燈", "big5", "big5"),
        ("램프 조명 기구 벽 거울", "euc_kr", "euc_kr"),
        ("日本製の電球 ランプシェード", "euc_jp", "euc_jp"),
        ("НАСТОЛЬНАЯ ЛАМПА", "windows-1251", "windows-1251"),
        ("Настольная лампа", "koi8_r", "koi8-r"),
        ("Λάμπα γραφείου", "iso8859_7", "windows-1253"),
        ("Masa lambas\u0131 ş\u0131k güneş", "windows-1254", "windows-1254"),
        ("Zażółć gęślą jaźń", "iso8859_2", "iso-8859-2"),
    ],
)
def test_another_encoding_is_refused_whole_by_its_name_and_read_with_it(text: str, encoding: str, seen: str) -> None:
    content = f"sku,title,price\nA,plain,1\nB,{text.replace(',', '')},1\n".encode(encoding)
    with pytest.raises(BadFile, match=rf"its line 3 has the byte 0x.. ?.*It seems to be {seen}: .* encoding={seen}"):
        open_bytes(content)
    assert read_rows(content, encoding=encoding)[1]["title"] == text.replace(",", "")


@pytest.mark.parametrize(
    ("text", "encoding", "readings"),
    [
        ("램프", "euc_kr", "euc_kr, which reads '램프' or gb18030, which reads '伐橇'"),
        ("Écran", "mac_roman", "mac_roman, which reads 'Écran' or cp850, which reads 'âcran'"),
        ("Größe", "cp850", "cp850, which reads 'Größe' or windows-1252, which reads 'Gr”áe'"),
    ],
)
def test_an_encoding_that_a_short_text_leaves_open_is_not_guessed(text: str, encoding: str, readings: str) -> None:
    with pytest.raises(BadFile) as raised:
        open_bytes(f"sku,title\nA,{text}\n".encode(encoding))
    assert f"It may be {readings}" in str(raised.value)
    assert "give the right one of these by the option encoding" in str(raised.value)


def test_utf_16_without_its_mark_and_without_letters_of_ascii_is_named() -> None:
    with pytest.raises(BadFile, match="It seems to be UTF-16 without its mark"):
        open_bytes(("sku,title\nA," + "台灯商品目录" * 200 + "\n").encode("utf-16-le"))


def test_another_encoding_given_for_utf_8_is_refused_with_what_it_would_read() -> None:
    with pytest.raises(BadFile, match="is UTF-8, and cp1252 reads its 'é' as 'Ã©': leave encoding out"):
        open_bytes(ACCENTS, encoding="windows-1252")
    assert read_rows(ROWS, encoding="windows-1252") == PLAIN


@pytest.mark.parametrize(("encoding", "title"), [("cp866", "чай"), ("cp866", "сад"), ("gb18030", "伞")])
def test_a_word_that_is_utf_8_by_chance_is_read_in_the_encoding_given(encoding: str, title: str) -> None:
    assert title.encode(encoding).decode() != title
    assert read_rows(f"sku,title\nA,{title}\n".encode(encoding), encoding=encoding)[0]["title"] == title


@pytest.mark.parametrize("title", ["être", "único", "Straße 5 €", "台灯", "чай", "ñandú", "カフェ", "☕", "Łódź"])
@pytest.mark.parametrize("encoding", ["windows-1252", "gb18030", "cp866", "big5", "euc_kr", "iso-8859-15"])
def test_utf_8_is_known_by_one_word_whatever_encoding_is_given(encoding: str, title: str) -> None:
    with pytest.raises(BadFile, match=r"is UTF-8, and|isn't"):
        open_bytes(f"sku,title\nA,{title}\n".encode(), encoding=encoding)


def test_a_file_that_is_said_to_be_latin_1_has_the_signs_of_windows() -> None:
    content = "sku,title,price\nA,Café \u2013 “5 €”,1\n".encode("cp1252")
    assert read_rows(content, encoding="iso-8859-1")[0]["title"] == "Café \u2013 “5 €”"


@pytest.mark.parametrize("name", ["latin-99", "rot13", "unicode_escape", "idna", "zip"])
def test_what_is_no_encoding_of_files_is_refused(name: str) -> None:
    with pytest.raises(BadFile, match=f"encoding: '{name}' is no encoding of files"):
        open_bytes(ROWS, encoding=name)


def test_a_character_between_two_pieces_is_whole() -> None:
    text = "sku,title,price\n" + ("A,é" + "é" * 1_000 + ",1\n") * 300
    assert len(read_rows(text)) == 300
    with pytest.raises(BadFile, match="its line 301 has the byte"):
        open_bytes(text.encode()[:-4])


# -- JSON ----------------------------------------------------------------------------------------------------------

OBJECTS = [{"sku": "A", "title": "Lamp", "price": 1.5}, {"sku": "B", "title": "Torch {[", "price": 2}]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"products": rows}, lambda rows: {"results": rows}])
def test_a_list_of_objects_is_read_whatever_its_lines(indent: int | None, wrap: Any) -> None:
    content = json.dumps(wrap(OBJECTS), indent=indent)
    source = open_bytes(content, "file.json")
    assert source.kind == "json"
    assert [(record.line, record.cells) for record in source.records] == [(1, OBJECTS[0]), (2, OBJECTS[1])]


def test_one_object_in_several_lines_is_a_product() -> None:
    assert read_rows(json.dumps(OBJECTS[0], indent=1), "file.json") == OBJECTS[:1]


def test_a_list_that_breaks_off_names_its_last_entry() -> None:
    first, second = open_bytes(json.dumps(OBJECTS)[:-20], "file.json").records
    assert not first.fault
    assert (second.line, "is not JSON" in second.fault) == (2, True)
    (_, _, end) = open_bytes(json.dumps(OBJECTS)[:-1], "file.json").records
    assert "doesn't end" in end.fault


def test_a_list_of_long_entries_is_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "PIECE", 7)
    long = [{"sku": f"S{number}", "text": "x" * number} for number in range(200)]
    assert read_rows(json.dumps(long), "file.json") == long


def test_the_last_line_of_our_own_stream_is_no_product() -> None:
    lines = [*map(json.dumps, OBJECTS), '{"_end":true,"rows":2,"sha256":"x","last_id":2}']
    assert read_rows("\n".join(lines), "products.ndjson") == OBJECTS


# -- workbooks and archives ----------------------------------------------------------------------------------------


def test_a_workbook_is_read_below_its_title_and_behind_its_empty_sheets() -> None:
    rows = (
        ["Price list"],
        [],
        ["sku", "title", "price", "stock"],
        [1230000000000, "Lamp", 1.5, 3.0],
        [],
        ["B", "T", 2, None],
    )
    source = open_bytes(write_xlsx(*rows, before=1), "list.xlsx")
    assert [(record.line, record.cells) for record in source.records] == [
        (4, {"sku": 1230000000000, "title": "Lamp", "price": 1.5, "stock": 3}),
        (6, {"sku": "B", "title": "T", "price": 2, "stock": None}),
    ]
    assert [guess.option for guess in source.notes.guesses.values()] == ["sheet", "header"]


def test_a_workbook_of_a_shop_is_of_its_format() -> None:
    run, _ = read(write_xlsx(["Handle", "Title", "Variant Price"], ["a", "A", 5]), "shop.xlsx")
    assert run.report.format == "shopify"


def test_an_error_in_a_cell_is_refused_by_its_place() -> None:
    content = write_xlsx(["sku", "title", "price"], ["A", "Lamp", "#REF!"])
    (record,) = open_bytes(content, "list.xlsx").records
    assert record.fault == "has the error #REF! in cell C2; correct its formula"


def test_a_date_in_place_of_a_code_is_refused() -> None:
    reasons = refuse(write_xlsx(["sku", "title", "price"], [date(2026, 5, 1), "Lamp", 5]), "list.xlsx")
    assert reasons == ["""sku: '"2026-05-01 00:00:00"' is a date; give a text or a number"""]


def test_a_workbook_with_too_many_texts_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    # It writes texts as Excel does, in a list that cells refer to.
    with xlsxwriter.Workbook(packed, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate((["sku", "title", "price"], ["A", "Lamp", 1.5], ["B", "Torch", 2])):
            sheet.write_row(number, 0, row)
    assert [row["title"] for row in read_rows(packed.getvalue(), "list.xlsx")] == ["Lamp", "Torch"]
    monkeypatch.setattr(sheets, "MOST_SHARED_BYTES", 100)
    with pytest.raises(BadFile, match=r"different texts, more than a workbook may have .* save the sheet as CSV"):
        open_bytes(packed.getvalue(), "list.xlsx")


def write_parquet(**columns: list[Any]) -> bytes:
    packed = io.BytesIO()
    pq.write_table(pa.table(columns), packed)
    return packed.getvalue()


def test_a_parquet_file_is_read() -> None:
    content = write_parquet(sku=["A", "B"], title=["Lamp", "Torch"], price=[1.5, 2.0])
    run, drafts = read(content, "list.parquet")
    assert (run.report.format, [one.sku for one in drafts]) == ("parquet", ["A", "B"])


@pytest.mark.parametrize(
    ("module", "package", "content"),
    [
        ("catalog.imports.parquets", "pyarrow", write_parquet(sku=["A"])),
        ("catalog.imports.sheets", "openpyxl", write_xlsx(["sku"], ["A"])),
    ],
)
def test_a_file_whose_package_is_missing_is_refused_by_its_name(
    module: str, package: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delitem(sys.modules, "catalog.imports.parquets", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BadFile, match=rf"list\.\w+ is .* lacks the package {package}: run .* or send the table as CSV"):
        open_bytes(content, f"list.{module.rpartition('.')[2]}")


def test_an_archive_with_one_file_is_read() -> None:
    archive = write_zip(**{"shop/products.csv": ROWS.encode(), "__MACOSX/._products.csv": b"x"})
    assert read_rows(archive, "products.zip") == PLAIN
    assert read_rows(write_zip(**{"p.csv": ROWS.encode(), "Thumbs.db": b"x", "a/desktop.ini": b"x"})) == PLAIN
    assert read_rows(gzip.compress(ROWS.encode()), "products.csv.gz") == PLAIN
    with pytest.raises(BadFile, match=r"a zip archive that has 2 files \(a, b\): send one file"):
        open_bytes(write_zip(a=b"x", b=b"y"))
    with pytest.raises(BadFile, match="compressed twice"):
        open_bytes(write_zip(a=write_zip(b=ROWS.encode())))


def test_a_workbook_may_be_packed_once_more() -> None:
    book = write_xlsx(["sku", "title"], ["A", "T"])
    for packed in (write_zip(**{"p.xlsx": book}), gzip.compress(book)):
        assert read_rows(packed, "p.zip") == [{"sku": "A", "title": "T"}]
    with pytest.raises(BadFile, match="compressed twice"):
        open_bytes(gzip.compress(write_zip(**{"p.xlsx": book})))


def test_a_copy_in_a_circle_of_references_is_closed_without_a_warning() -> None:
    copies: list[Any] = [find_seekable(io.BufferedReader(OneWay(b"PK"))) for _ in range(20)]
    for copy in copies:
        copy.circle = copy
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        copies.clear()
        del copy
        gc.collect()
    assert not told


class OneWay(io.BytesIO):
    def seekable(self) -> bool:
        return False


@override_settings(IMPORT_MAX_UNPACKED_BYTES=2_000)
def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(BadFile, match="decompresses to more than 2,000 bytes"):
        open_bytes(write_zip(a=ROWS.encode() * 100))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"an old Excel file \(\.xls\)"),
        (b"<html><body><table><tr><td>sku</td></tr></table>", "a web page"),
        (b"%PDF-1.7\n", "a PDF"),
        (write_tar(), "a tar archive: send the file inside"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x89PNG\r\n", "a picture"),
        (write_zip(**{"content.xml": b"<x/>"}), "an OpenDocument file: save its table as .xlsx"),
        (write_zip(**{"xl/workbook.bin": b""}), "a binary Excel workbook"),
        (b"<?xml version='1.0'?><catalog></catalog>", "is XML that has no items"),
        (b"", "empty"),
        (b"  \n\n", "empty"),
    ],
)
def test_what_is_not_taken_is_named_as_what_it_is(content: bytes, sentence: str) -> None:
    with pytest.raises(BadFile, match=sentence):
        open_bytes(content, "file.csv")


# -- numbers, weights, categories, pictures --------------------------------------------------------------------------


def price_of(text: str, **options: Any) -> str:
    (product,) = draft(f'sku;title;price\nA;T;"{text}"\n', **options)
    assert product.only
    return str(product.only.fields["price"])


@pytest.mark.parametrize(
    ("text", "decimal", "price"),
    [
        ("1.290", ",", "1290.00"), ("1.290,50", ",", "1290.50"), ("12,5", ",", "12.50"), ("1 290,5", ",", "1290.50"),
        ("1290", ",", "1290.00"), ("1.234.567,89", ",", "1234567.89"), ("1'290.50", ".", "1290.50"),
        ("1,290.50", ".", "1290.50"), ("1.290", ".", "1.29"), ("12.5", "", "12.50"), ("0.500", "", "0.50"),
        ("1234.500", "", "1234.50"), ("12.5000", "", "12.50"),
    ],
)  # fmt: skip
def test_prices_are_read_with_the_decimal_sign_of_the_file(text: str, decimal: str, price: str) -> None:
    assert price_of(text, decimal=decimal) == price


@pytest.mark.parametrize(
    ("text", "decimal"),
    [("1.290", ""), ("12,50", ""), ("12.50", ","), ("1,29,0", ","), ("1.29.000", ","), ("1,29", ".")],
)
def test_a_price_that_may_be_another_is_refused(text: str, decimal: str) -> None:
    assert refuse(f'sku;title;price\nA;T;"{text}"\n', decimal=decimal)


@settings(max_examples=share(60), deadline=None)
@given(st.integers(0, 999_999_999), st.sampled_from([",", "."]), st.booleans())
def test_each_price_comes_back_from_each_way_to_write_it(cents: int, decimal: str, is_grouped: bool) -> None:
    other = {",": ".", ".": ","}[decimal]
    whole = f"{cents // 100:,}".replace(",", other) if is_grouped else str(cents // 100)
    assert price_of(f"{whole}{decimal}{cents % 100:02}", decimal=decimal) == f"{cents // 100}.{cents % 100:02}"


@pytest.mark.parametrize(
    ("column", "text", "unit", "grams"),
    [
        ("weight", "250", "", 250), ("Weight (kg)", "1.5", "", 1500), ("weight_kg", "2", "", 2000),
        ("weight (lbs)", "1", "", 454), ("weight", "1.5", "kg", 1500), ("weight", "1.5 kg", "", 1500),
        ("weight", "8oz", "kg", 227), ("Weight in grams", "99.6", "", 100),
    ],
)  # fmt: skip
def test_weights_have_the_unit_of_the_cell_the_column_or_the_option(
    column: str, text: str, unit: str, grams: int
) -> None:
    (product,) = draft(f"sku,title,price,{column}\nA,T,1,{text}\n", weight_unit=unit)
    assert product.only
    assert product.only.fields["weight"] == grams


@pytest.mark.parametrize(
    ("text", "separator", "path"),
    [
        ("Home > Kitchen", "", ("Home", "Kitchen")),
        ("Home/Kitchen", "/", ("Home", "Kitchen")),
        ("Home &gt; Kitchen", "&gt;", ("Home", "Kitchen")),
        ("Home/Kitchen", "", ("Home/Kitchen",)),
    ],
)
def test_categories_are_parted_by_the_option_or_the_likely_sign_is_named(
    text: str, separator: str, path: tuple[str, ...]
) -> None:
    run, (product,) = read(f"sku,title,price,category\nA,T,1,{text}\n", category_separator=separator)
    assert isinstance(product, ProductDraft)
    assert product.links["category"].names == path
    guesses = [guess["reason"] for guess in run.source.notes.as_json()]
    assert guesses == (["'Home/Kitchen' may be a path: then give category_separator=/"] if len(path) == 1 else [])


@pytest.mark.parametrize(
    ("cell", "urls"),
    [
        ("https://i.example/1.jpg, https://i.example/2.jpg", 2), ("https://i.example/1.jpg;https://i.example/2.jpg", 2),
        ("https://i.example/w_30,h_30/1.jpg", 1), ("a.jpg, b.jpg", 2), ("/a.jpg", 1), ('["a.jpg", "b.jpg"]', 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["image", "images"])
def test_several_pictures_in_a_cell_are_parted(cell: str, urls: int, column: str) -> None:
    if column == "image" and cell.startswith("["):
        return
    quoted = cell.replace('"', '""')
    (product,) = draft(f'sku,title,price,{column}\nA,T,1,"{quoted}"\n')
    assert len(product.images or ()) == urls


def test_a_picture_that_is_named_twice_keeps_its_text() -> None:
    images = [{"url": "/1.jpg", "alt": "Front"}, {"url": "/2.jpg"}]
    row = {"sku": "A", "title": "T", "price": 1, "image_url": "/1.jpg", "images": images}
    (product,) = draft(json.dumps(row), "file.ndjson")
    assert [(image.url, image.fields.get("alt")) for image in product.images or ()] == [
        ("/1.jpg", "Front"),
        ("/2.jpg", None),
    ]
