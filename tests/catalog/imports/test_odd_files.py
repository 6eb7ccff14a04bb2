"""Files that went wrong somewhere: each is read as it was meant, or refused with the reason and what to do.

No database is asked.
"""

import datetime
import json
import time
from decimal import Decimal
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.imports.errors import BadFile, BadRow
from catalog.imports.formats.mapping import map_columns
from catalog.imports.options import Options
from catalog.imports.readers import check_text, open_source
from catalog.imports.tables import MOST_COLUMNS
from catalog.imports.trees import FIRST_RECORDS
from catalog.writes.drafts import ProductDraft
from tests.catalog.imports.test_formats import read, show

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


# -- columns of shops by other names -------------------------------------------------------------------------------

SHOPIFY = "Handle,Title,Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Qty"
GERMAN = (
    "ID,Typ,Artikelnummer,Name,Veröffentlicht,Kurzbeschreibung,Vorrätig?,Lager,Gewicht (kg),Angebotspreis,"
    "Regulärer Preis,Kategorien,Schlagwörter,Bilder,Übergeordnetes Produkt,Attribut 1 Name,Attribut 1 Wert(e)"
)
FRENCH = (
    "ID,Type,UGS,Nom,Publié,Description courte,En stock ?,Stock,Poids (kg),Tarif promo,Tarif régulier,Catégories,"
    "Étiquettes,Images,Parent,Nom de l\u2019attribut 1,Valeur(s) de l\u2019attribut 1 "
)
SPANISH = (
    "ID,Tipo,SKU,Nombre,Publicado,Descripción corta,¿Existencias?,Inventario,Peso (kg),Precio rebajado,Precio normal,"
    "Categorías,Etiquetas,Imágenes,Superior,Nombre del atributo 1,Valor(es) del atributo 1"
)
SHIRTS = "10,variable,T,Tee,1,Short,1,,0.5,,,Tees,,,,Size,S\n11,variation,T-S,Tee,1,,1,3,,9.90,12.50,,,,T,Size,S\n"


@pytest.mark.parametrize("write", [str.lower, str.upper])
def test_columns_of_a_shop_are_known_whatever_their_capitals(write: Any) -> None:
    run, rows = read(f"{write(SHOPIFY)}\na,A,Acme,Size,S,A-S,5,1\n")
    (product,) = [row for row in rows if isinstance(row, ProductDraft)]
    assert (run.report.format, product.slug, show(product)) == (
        "shopify", "a", [("A-S", {"Size": "S"}, "5.00", None, {"main": 1})],
    )  # fmt: skip


@pytest.mark.parametrize("header", [GERMAN, FRENCH, SPANISH])
def test_woocommerces_export_is_read_in_the_language_of_its_shop(header: str) -> None:
    run, rows = read(f"{header}\n{SHIRTS}")
    (tee,) = [row for row in rows if isinstance(row, ProductDraft)]
    assert (tee.sku, tee.text["description"], str(tee.links["category"])) == ("T", "Short", "Tees")
    assert show(tee) == [("T-S", {"Size": "S"}, "9.90", 500, {"main": 3})]
    assert ("columns", "Regular price") in {
        (one["option"], one["used"].partition("=")[0]) for one in run.source.notes.as_json()
    }


def test_a_plain_file_with_a_column_of_a_shop_stays_one() -> None:
    run, _ = read("sku,title,price,brand,stock,handle\nA,T,1,Acme,2,a\n")
    assert (run.report.format, [one["column"] for one in run.format.list_unread()]) == ("csv", ["handle"])


def test_shopifys_older_inventory_has_a_column_for_each_location() -> None:
    header = "Handle,Title,Option1 Name,Option1 Value,SKU,HS Code,COO,Berlin,Main street"
    _, rows = read(f"{header}\na,A,Size,S,A-S,,,5,not stocked\nb,B,Size,S,B-S,,,,7\n")
    pieces = [row.variants[0].pieces for row in rows if isinstance(row, ProductDraft) and row.variants]
    assert pieces == [{"berlin": 5}, {"main street": 7}]


def test_rows_of_one_handle_in_other_letters_are_one_product() -> None:
    _, rows = read(f"{SHOPIFY}\nMug,,,,L,M-L,6,1\nmug,Mug,Acme,Size,S,M-S,5,1\n")
    assert [len(row.variants or ()) for row in rows if isinstance(row, ProductDraft)] == [2]


ETSY = "TITLE,DESCRIPTION,PRICE,CURRENCY_CODE,QUANTITY,MATERIALS,SKU"
MATRIXIFY = "Handle,Command,Title,Variant SKU,Variant Price"
MAGENTO = "sku,store_view_code,product_type,name,price,base_image"
BIGCOMMERCE = "Item,Name,SKU,Options,Price,Categories"


def test_etsys_texts_are_no_html() -> None:
    _, rows = read(f"{ETSY}\nMum&#39;s mug,a &amp; b,9.50,USD,1,,M\n")
    assert [(row.fields["title"], row.text["description"]) for row in rows if isinstance(row, ProductDraft)] == [
        ("Mum's mug", "a & b")
    ]


def test_two_commands_for_one_product_are_refused() -> None:
    assert list_reasons(f"{MATRIXIFY}\na,MERGE,A,A,5\na,DELETE,,,\n") == [
        "Command: 'DELETE' is another command than MERGE on line 2; give all rows of a product the same"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{MAGENTO}\nT,,simple,Tee,5,no_selection\nT,de,,Hemd,,\n", "rows of a store view are translations"),
        (f"{BIGCOMMERCE}\nProduct,Tee,T,,5,[23;24]\n", "the file has ids of categories, whose names it lacks"),
        (f"{BIGCOMMERCE}\nProduct,Tee,T,,5,\nRule,,[S]T,,6,\n", "rules that change the price or weight of variants"),
    ],
)
def test_rows_and_cells_of_a_shop_that_are_not_read_are_named(content: str, reason: str) -> None:
    run, rows = read(content)
    assert [(row.images, row.links.get("category")) for row in rows if isinstance(row, ProductDraft)] == [(None, None)]
    assert [one["reason"].startswith(reason) for one in run.source.notes.as_json()] == [True]


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


SIGN = "name the decimal sign by the option decimal, as . or ,"
COMMA = f"has a comma, between thousands or before decimal places; {SIGN}"
ROUNDED = "is a number that a spreadsheet has rounded; show all of its digits there, and save again"
NO_VALUE = "stands for no value; enter one, or leave the cell blank"
FAILED = "is the error of a formula, or of a column that was too narrow; correct it, or enter the value"


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("price", "12,50", COMMA),
        ("price", "1.299,50", COMMA),
        ("stock", "1,000", COMMA),
        ("weight", "1,5 kg", COMMA),
        ("price", "1.23E+05", ROUNDED),
        ("stock", "1E+03", ROUNDED),
        ("price", "N/A", NO_VALUE),
        ("stock", "-", NO_VALUE),
        ("barcode", "\u2014", NO_VALUE),
        ("brand", "#REF!", FAILED),
        ("category", "#VALUE!", FAILED),
        ("barcode", "#########", FAILED),
        ("barcode", "#BEZUG!", FAILED),
        ("barcode", "#¿NOMBRE?", FAILED),
        ("barcode", "#NV", FAILED),
        ("rating", "4,5", f"has a comma, though the decimal sign is a dot; write it as in 1299.50, or {SIGN}"),
    ],
)
def test_a_cell_says_which_option_it_needs_or_what_a_spreadsheet_did(field: str, value: str, rule: str) -> None:
    content = f'sku,title,"{field}"\nA,T,"{value}"\n'
    assert list_reasons(content) == [f"{field}: '{value}' {rule}"]


def test_a_code_that_a_csv_keeps_from_a_spreadsheet_has_its_zeros() -> None:
    assert list_skus('sku,title,price\n="00123",T,1\n"=""00124""",T,1\n') == ["00123", "00124"]


def test_a_code_with_an_apostrophe_is_kept_and_named() -> None:
    run, rows = read("sku,title,price,barcode\n'00123,T,1,'4006381333931\n")
    assert [row.sku for row in rows if isinstance(row, ProductDraft)] == ["'00123"]
    assert [guess["used"] for guess in run.source.notes.as_json()] == ["'00123", "'4006381333931"]


def test_a_name_that_may_stand_for_no_value_is_kept_and_named() -> None:
    run, rows = read("sku,title,price,brand,category\nA,NULL,1,N/A,-\n")
    assert [row.fields["title"] for row in rows if isinstance(row, ProductDraft)] == ["NULL"]
    assert [guess["used"] for guess in run.source.notes.as_json()] == ["NULL", "N/A", "-"]


@pytest.mark.parametrize(
    "name",
    ["Price (USD)", "price USD", "PRICE_USD", "price [usd]", "Price-USD"],
)
def test_a_price_may_name_its_currency(name: str) -> None:
    _, rows = read(f"sku,title,{name},compare at price (USD)\nA,T,9.50,12\n")
    (product,) = [row for row in rows if isinstance(row, ProductDraft)]
    assert product.only
    assert (product.only.fields["price"], product.fields["compare_at_price"]) == (Decimal("9.50"), 12)


@pytest.mark.parametrize(("name", "currency"), [("Price (EUR)", "EUR"), ("price €", "EUR"), ("price [£]", "GBP")])
def test_a_price_in_another_currency_is_refused(name: str, currency: str) -> None:
    sentence = f"has prices in {currency}, by its column '{name}', and this server's are in USD: convert the prices"
    with pytest.raises(BadFile) as raised:
        read(f"sku,title,{name}\nA,T,1\n")
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("cell", "decimal"),
    [
        ("$1234.50", ""), ("1234.50 $", ""), ("USD 1234.50", ""), ("1234.50usd", ""), ("US$ 1234.50", ""),
        ("$1,234.50", "."), ("1.234,50 $", ","), ("1\u00a0234,50\u00a0USD", ","), ("\u202f1'234.50 $", "."),
    ],
)  # fmt: skip
def test_a_price_may_have_its_currency_beside_it(cell: str, decimal: str) -> None:
    _, rows = read(f'sku;title;price\nA;T;"{cell}"\nB;T;12,- $\nC;T;12.\u2013\n', decimal=decimal)
    prices = [row.only.fields["price"] for row in rows if isinstance(row, ProductDraft) and row.only]
    assert prices == [Decimal("1234.50"), 12, 12]


def test_a_sign_may_mean_several_currencies(settings: Any) -> None:
    settings.CURRENCY = "CAD"
    _, rows = read("sku,title,price\nA,T,$9.50\nB,T,US$9.50\n")
    (product, other) = rows
    assert isinstance(product, ProductDraft)
    assert isinstance(other, BadRow)
    assert other.refusals[0].reason.startswith("price: 'US$9.50' is in USD, not in this server's CAD")


@pytest.mark.parametrize("name", ["price_all", "price old", "price (net)"])
def test_a_price_with_another_word_is_a_column_of_its_own(name: str) -> None:
    run, _ = read(f"sku,title,price,{name}\nA,T,1,2\n")
    assert [entry["column"] for entry in run.format.list_unread()] == [name]


@pytest.mark.parametrize(
    ("content", "beside"),
    [
        (f'{{"data": {{"products": [{ROW}]}}}}', []),
        (f'{{"count": 1, "next": null, "results": [{ROW}]}}', ["begins with 'count'"]),
        (
            f'{{"data": {{"currency": "EUR", "items": [{ROW}]}}, "extensions": {{}}}}',
            [
                "begins with 'currency'",
                "goes on with 'extensions'",
            ],
        ),
    ],
)
def test_a_list_may_be_within_objects(content: str, beside: list[str]) -> None:
    run, rows = read(content, "f.json")
    assert [row.sku for row in rows if isinstance(row, ProductDraft)] == ["A"]
    reasons = [guess["reason"] for guess in run.source.notes.as_json()]
    assert reasons == [f"the object around the list {place}, which isn't read" for place in beside]


def test_products_deeper_in_json_are_asked_for_as_a_list() -> None:
    with pytest.raises(BadFile, match="Of products within other members send only their list"):
        read(f'{{"products": {{"edges": [{{"node": {ROW}}}]}}}}', "f.json")


def test_what_stands_beside_a_list_is_said() -> None:
    run, _ = read(f'{{"products": [{ROW}], "variants": [{{"sku": "V"}}]}}', "f.json")
    (guess,) = run.source.notes.as_json()
    assert guess["reason"] == "the object around the list goes on with 'variants', which isn't read"


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


def edit_workbook(edit: Any) -> bytes:
    book = openpyxl.Workbook()
    edit(book.worksheets[0])
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def test_hidden_rows_are_read_and_named() -> None:
    def hide(sheet: Any, part: Any) -> None:
        for row in (HEADER, ["A", "T", 1], ["B", "T", 2]):
            sheet.append(row)
        part(sheet).hidden = True

    for part in (lambda sheet: sheet.row_dimensions[3], lambda sheet: sheet.column_dimensions["C"]):
        run, rows = read(edit_workbook(lambda sheet, part=part: hide(sheet, part)), "f.xlsx")
        assert len(rows) == 2
        assert [guess["option"] for guess in run.source.notes.as_json()] == ["hidden"]


def test_merged_cells_of_several_rows_are_refused() -> None:
    def merge(sheet: Any, area: str) -> None:
        for row in (["Our prices"], HEADER, ["A", "T", 1], ["B", "T", None]):
            sheet.append(row)
        sheet.merge_cells(area)

    assert list_skus(edit_workbook(lambda sheet: merge(sheet, "A1:C1")), "f.xlsx") == ["A", "B"]
    with pytest.raises(BadFile, match=r"has merged cells \(C3:C4\); only the first one has the value: unmerge them"):
        read(edit_workbook(lambda sheet: merge(sheet, "C3:C4")), "f.xlsx")


def test_a_code_is_read_as_a_person_sees_it() -> None:
    def write(sheet: Any) -> None:
        for row in (HEADER, [123, "line_x000D__x005F_x000D_", 1], [124, "T", 1]):
            sheet.append(row)
        sheet["A2"].number_format = "00000"

    _, rows = read(edit_workbook(write), "f.xlsx")
    assert [row.sku for row in rows if isinstance(row, ProductDraft)] == ["124"]
    (bad,) = [row for row in rows if isinstance(row, BadRow)]
    assert (bad.refusals[0].key, bad.refusals[0].value) == ("00123", r"'line\r_x000D_'")


def test_parquet_has_texts_objects_and_lists() -> None:
    attributes = pa.array([[("colour", "red")]], pa.map_(pa.string(), pa.string()))
    content = save_parquet(sku=[b"A"], title=["T"], price=[1.5], attributes=attributes, options=[{"Size": "M"}])
    _, rows = read(content, "f.parquet")
    (row,) = [row for row in rows if isinstance(row, ProductDraft)]
    assert row.only
    assert (row.sku, row.attributes, row.only.fields["options"]) == ("A", {"colour": "red"}, {"Size": "M"})
    assert list_reasons(save_parquet(sku=[datetime.date(2026, 1, 5)], title=["T"], price=[1]), "f.parquet")


# -- files that are made to keep a reader busy ------------------------------------------------------------------------


def change_sheet(old: str, new: str) -> bytes:
    """A workbook of 60 rows, with other words in its sheet."""
    source = save_workbook([["sku", "title", "price"], *([f"A{number}", "T", 1] for number in range(60))])
    stream = BytesIO()
    with ZipFile(BytesIO(source)) as book, ZipFile(stream, "w", ZIP_DEFLATED) as changed:
        for name in book.namelist():
            body = book.read(name)
            is_sheet = name == "xl/worksheets/sheet1.xml"
            changed.writestr(name, body.replace(old.encode(), new.encode()) if is_sheet else body)
    return stream.getvalue()


def test_a_row_beyond_the_end_of_a_sheet_is_refused_before_rows_are_counted() -> None:
    with pytest.raises(BadFile, match="has a row 300000000, and a sheet ends at 1,048,576: save it again"):
        list_skus(change_sheet('<row r="61"', '<row r="300000000"'), "far.xlsx")


@pytest.mark.parametrize("junk", ["<c " * 100_000, "<c><f/>" + " " * 100_000])
def test_what_looks_like_cells_is_passed_in_linear_time(junk: str) -> None:
    began = time.process_time()
    assert len(list_skus(change_sheet("</sheetData>", f"</sheetData><!--{junk}-->"), "junk.xlsx")) == 60
    assert time.process_time() - began < 2


def test_a_cell_far_to_the_right_costs_no_more_than_another() -> None:
    """Each row would get 18,278 cells, most of them blank."""
    rows = "".join(f'<row r="{number}"><c r="ZZZ{number}"><v>1</v></c></row>' for number in range(62, 8_062))
    began = time.process_time()
    reasons = list_reasons(change_sheet("</sheetData>", f"{rows}</sheetData>"), "wide.xlsx")
    assert time.process_time() - began < 2
    assert (len(reasons), "has cells beyond the header's 3 columns" in reasons[-1]) == (8_000, True)


def test_columns_of_json_that_come_late_are_noted_up_to_a_limit() -> None:
    first = b'{"sku": "A", "title": "a", "price": 1}\n' * FIRST_RECORDS
    later = b'{"sku": "B"%s}\n' % b"".join(b', "m%d": 1' % number for number in range(5_000))
    source = open_source(BytesIO(first + later), "a.ndjson")
    assert len(list(source.records)) == FIRST_RECORDS + 1
    assert len(source.columns) == MOST_COLUMNS


def test_a_workbook_that_unpacks_to_hundreds_of_times_its_size_is_refused() -> None:
    with pytest.raises(BadFile, match="unpacks to more than 200 times its size"):
        list_skus(change_sheet("</sheetData>", "</sheetData>" + " " * 9_000_000), "bomb.xlsx")


ITEM = "<item><id>A</id><title>T</title><price>1 USD</price>"


def test_items_within_items_end_at_a_depth() -> None:
    feed = f"<rss><channel>{(ITEM + '</item>') * 30}{ITEM * 200}{'</item>' * 200}</channel></rss>"
    assert "more than 100 elements within each other" in list_reasons(feed, "deep.xml")[-1]


def test_many_members_of_one_name_are_read_in_linear_time() -> None:
    began = time.process_time()
    feed = f"<rss><channel>{ITEM}{'<label>1</label>' * 100_000}</item></channel></rss>"
    assert list_skus(feed, "many.xml") == ["A"]
    assert time.process_time() - began < 2
