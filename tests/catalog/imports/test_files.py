"""`import_products` on small files of our own: what a row means, and what is refused by its line."""

import json
import re
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError
from rest_framework.test import APIClient

from catalog.imports import runs
from catalog.management.commands import import_products
from catalog.models import Brand, Category, Image, Product, Stock, Variant
from tests.catalog.changes.undo.shop import read_shop, undo
from tests.factories import make_product

pytestmark = pytest.mark.django_db

SHOPIFY_HEADER = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Barcode,Image Src,Image Position,"
    "Image Alt Text,SEO Title,SEO Description"
)
SHIRT = (
    SHOPIFY_HEADER,
    'shirt,Shirt,<p>Linen</p>,Weavers,Tops,"men, linen",true,Size,S,,120,2,19.90,25.00,\'0123,https://i.example/s.jpg,'
    "1,Front,Best shirt,A shirt of linen",
    "shirt,,,,,,,,L,,130,0,17.90,,,https://i.example/l.jpg,2,,,",
    "shirt,,,,,,,,,,,,,,,https://i.example/back.jpg,3,,,",
)


def run_import(path: Path, *lines: str, **options: Any) -> dict[str, Any]:
    """The JSON report of an import of these lines, whether or not rows were refused."""
    file = path if path.suffix else path / "file.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return import_file(file, **options)


def import_file(file: Path, **options: Any) -> dict[str, Any]:
    out = StringIO()
    try:
        call_command("import_products", str(file), json=True, stdout=out, stderr=StringIO(), **options)
    except CommandError as error:
        if error.returncode != 1:
            raise
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def list_errors(report: dict[str, Any]) -> list[tuple[int, str]]:
    return [(error["line"], error["reason"]) for error in report["errors"]]


def snapshot() -> list[tuple[Any, ...]]:
    """Everything that an import may write, with versions and times."""
    tables = (Brand, Category, Product, Variant, Stock, Image)
    return [row for table in tables for row in table.objects.order_by("pk").values_list()]


# -- Shopify -------------------------------------------------------------------------------------------------------


def test_shopify_rows_of_one_handle_are_one_product(tmp_path: Path) -> None:
    report = run_import(tmp_path, *SHIRT)
    assert report["format"] == "shopify"
    assert report["products"] == {"created": 1, "updated": 0, "unchanged": 0, "refused": 0}
    product = Product.objects.select_related("brand", "category", "text").get()
    assert (product.slug, product.sku, product.title, product.status) == ("shirt", "shirt", "Shirt", "active")
    assert product.brand is not None
    assert product.category is not None
    assert (product.brand.name, product.category.slug) == ("Weavers", "tops")
    # The lowest price, and the price before of that variant, which has none.
    assert (product.price, product.compare_at_price) == (Decimal("17.90"), None)
    assert product.attributes == {"tags": ["men", "linen"]}
    assert (product.text.description, product.text.seo_title) == ("<p>Linen</p>", "Best shirt")
    assert product.in_stock
    assert product.image_url == "https://i.example/s.jpg"


def test_shopify_variants_have_options_stock_weight_and_a_sku_of_their_own(tmp_path: Path) -> None:
    run_import(tmp_path, *SHIRT)
    variants = list(Variant.objects.order_by("position").values_list("sku", "options", "weight", "barcode"))
    assert variants == [("shirt.s", {"Size": "S"}, 120, "0123"), ("shirt.l", {"Size": "L"}, 130, "")]
    assert list(Stock.objects.order_by("variant__position").values_list("on_hand", flat=True)) == [2, 0]
    assert list(Image.objects.values_list("url", "alt")) == [
        ("https://i.example/s.jpg", "Front"),
        ("https://i.example/l.jpg", ""),
        ("https://i.example/back.jpg", ""),
    ]


def test_an_unpublished_shopify_product_is_a_draft(tmp_path: Path) -> None:
    run_import(tmp_path, "Handle,Title,Published,Variant Price", "a,A,false,1", "b,B,TRUE,1", "c,C,,1")
    assert list(Product.objects.order_by("slug").values_list("status", flat=True)) == ["draft", "active", "active"]


def test_a_sku_filled_in_later_and_then_left_blank_finds_the_same_variant(tmp_path: Path) -> None:
    header = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price"
    run_import(tmp_path, header, "a,A,Size,S,SKU-S,1", "a,,,L,SKU-L,1")
    report = run_import(tmp_path, header, "a,A,Size,S,,1", "a,,,L,,2")
    assert report["variants"] == {"created": 0, "updated": 1, "unchanged": 1}
    assert Variant.objects.get(sku="SKU-L").price == 2


def test_a_shopify_product_with_a_bad_row_is_left_out_whole(tmp_path: Path) -> None:
    report = run_import(
        tmp_path,
        "Handle,Title,Option1 Name,Option1 Value,Variant Price",
        "a,A,Size,S,1",
        "a,,,M,cheap",
        "a,,,L,-1",
        "b,B,Title,Default Title,5",
    )
    assert [line for line, _ in list_errors(report)] == [3, 4]
    assert report["products"]["refused"] == 1
    assert list(Product.objects.values_list("slug", flat=True)) == ["b"]


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        (("a,A,S,1", "a,,S,2"), 3, "Option values: are the same as on line 2"),
        ((",A,S,1",), 2, "Handle: is blank"),
        (("a,,S,1",), 2, "title: There is no product 'a' yet, and a new one needs a title; give one"),
        (("a,A,S,",), 2, "price: There is no variant 'a.s' yet, and a new one needs a price; give one"),
        (("Mug,A,S,1", "mug,,S,1"), 3, "Option values: are the same as on line 2"),
    ],
)
def test_a_shopify_row_that_fits_no_product_is_refused(
    rows: tuple[str, ...], line: int, reason: str, tmp_path: Path
) -> None:
    report = run_import(tmp_path, "Handle,Title,Option1 Value,Variant Price", *rows)
    assert len(report["errors"]) == 1
    assert report["errors"][0]["line"] == line
    assert reason in report["errors"][0]["reason"]


def test_a_quantity_below_zero_is_nothing_on_hand(tmp_path: Path) -> None:
    run_import(tmp_path, "Handle,Title,Variant Price,Variant Inventory Qty", "a,A,1,-3")
    assert Stock.objects.get().on_hand == 0


# -- plain CSV and NDJSON ------------------------------------------------------------------------------------------


def test_a_plain_row_is_a_product_with_one_variant(tmp_path: Path) -> None:
    report = run_import(tmp_path, "sku,title,price,stock,brand,image", "L-1,Lamp,12.5,3, Oléo ,/lamp.jpg")
    assert report["format"] == "csv"
    product = Product.objects.get()
    variant = Variant.objects.get()
    assert (product.slug, product.currency, product.status) == ("lamp", settings.CURRENCY, "active")
    assert (product.price, product.rating, product.in_stock) == (Decimal("12.50"), 0, True)
    assert (variant.sku, variant.product_id, variant.price) == ("L-1", product.pk, Decimal("12.50"))
    assert product.image_url == "/lamp.jpg"
    assert Brand.objects.get().name == "Oléo"


def test_map_names_the_columns_of_the_file(tmp_path: Path) -> None:
    run_import(
        tmp_path,
        "index,product,cost,top,middle,type,rating",
        "1,Lamp,5,Home,Light,Lamps,4.5",
        "2,Cord,1,Tools,Light,Lamps,",
        map="sku=index,title=product, price=cost,category=top/middle/type",
    )
    lamps = Category.objects.filter(name="Lamps").order_by("slug").values_list("slug", flat=True)
    assert list(lamps) == ["home-light-lamps", "tools-light-lamps"]
    assert list(Product.objects.order_by("sku").values_list("rating", flat=True)) == [Decimal("4.50"), 0]


def test_brands_of_another_case_or_with_blanks_are_one(tmp_path: Path) -> None:
    run_import(tmp_path, "sku,title,price,brand", "1,A,1,Bhuira", "2,B,1, BHUIRA ", "3,C,1,", "4,D,1,!!")
    assert list(Brand.objects.order_by("pk").values_list("name", flat=True)) == ["Bhuira", "!!"]
    assert Product.objects.get(sku="3").brand is None


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_slug_beside_a_changed_name_says_nothing(is_stored: bool, tmp_path: Path) -> None:
    header = "sku,title,price,brand,brand_slug,category,category_slug"
    rows = ("A,T,1,Acme,ACME,Home > Chairs,seats", "B,T,1,Acme,acme-2,Home > Chairs,seats")
    if is_stored:
        run_import(tmp_path, header, *rows)
    report = run_import(tmp_path, header, *rows, "C,T,1,Zeta,ACME,Home > Tables,seats", "D,T,1,,ACME,,seats")
    assert report["errors"] == []
    found = Product.objects.order_by("sku").values_list(
        "brand__name", "brand__slug", "category__name", "category__slug"
    )
    assert list(found) == [
        ("Acme", "ACME", "Chairs", "seats"),
        ("Acme", "acme-2", "Chairs", "seats"),
        ("Zeta", "zeta", "Tables", "home-tables"),
        (None, None, None, None),
    ]
    run_import(tmp_path, "sku,title,price,brand_slug,category_slug", "A,T,1,acme-2,home-tables", "B,T,1,,")
    assert list(found.all()[:2]) == [("Acme", "acme-2", "Tables", "home-tables"), (None, None, None, None)]


def test_category_paths_whose_slugs_meet_stay_apart(tmp_path: Path) -> None:
    rows = ("1,A,1,Home & Garden > Tools", "2,B,1,Home > Garden > Tools", "3,C,1,a-b > c", "4,D,1,a > b-c")
    for _ in range(2):
        report = run_import(tmp_path, "sku,title,price,category", *rows)
        assert not report["errors"]
        assert len(set(Product.objects.values_list("category", flat=True))) == 4
        assert Category.objects.count() == 9
    assert report["products"]["unchanged"] == 4


def test_a_category_renamed_by_staff_is_found_by_its_slug_and_by_its_name(tmp_path: Path) -> None:
    Category.objects.create(name="Teas", slug="tea")
    Category.objects.create(name="Milk", slug="fresh-milk")
    report = run_import(tmp_path, "sku,title,price,category", "1,A,1,Tea", "2,B,1,Milk")
    assert report["categories"] == {"created": 0}


def test_products_of_one_title_have_slugs_of_their_own(tmp_path: Path) -> None:
    make_product(slug="lamp")
    run_import(tmp_path, "sku,title,price", "A.1,Lamp,1", "A 1,Lamp,1", "B,Lamp,1", "C,灯,1", "D,!!,1")
    slugs = dict(Product.objects.exclude(slug="lamp").values_list("sku", "slug"))
    assert slugs["A.1"] == "lamp-a1"
    assert slugs["A 1"] == "lamp-a-1"
    assert slugs["C"] == "灯"
    assert len(set(slugs.values())) == 5


def test_a_column_that_is_not_there_leaves_its_field_and_a_blank_cell_clears_it(tmp_path: Path) -> None:
    run_import(tmp_path, "sku,title,price,compare_at_price,rating,brand,stock,tags", 'A,Lamp,5,7,4.5,Oleo,3,"x, y"')
    run_import(tmp_path, "sku,price", "A,4")
    product = Product.objects.get()
    assert (product.price, product.compare_at_price, product.title) == (4, 7, "Lamp")
    run_import(tmp_path, "sku,title,price,compare_at_price,rating,brand,stock,tags", "A,,,,,,,")
    product = Product.objects.get()
    assert (product.price, product.compare_at_price, product.title) == (4, None, "Lamp")
    assert (product.rating, product.brand, product.attributes) == (Decimal("4.50"), None, {})
    assert Stock.objects.get().on_hand == 3


def test_ndjson_takes_numbers_lists_and_objects(tmp_path: Path) -> None:
    row = {
        "sku": 7,
        "title": "Lamp",
        "rating": 4.333,
        "category": ["Home", "Light"],
        "tags": ["a", "b"],
        "attributes": {"volts": 12.5, "dimmable": True},
        "images": ["/one.jpg", {"url": "/two.jpg", "alt": "Two"}],
        "variants": [{"sku": "7-S", "price": 9.99, "stock": 2, "options": {"Size": "S"}}, {"sku": "7-L", "price": 3}],
    }
    for expected in ("created", "unchanged"):
        report = run_import(tmp_path / "file.ndjson", json.dumps(row), "")
        assert report["products"][expected] == 1, report
    product = Product.objects.get()
    assert (product.sku, product.price, product.rating) == ("7", 3, Decimal("4.33"))
    assert product.attributes == {"volts": 12.5, "dimmable": True, "tags": ["a", "b"]}
    assert list(Image.objects.values_list("url", "alt")) == [("/one.jpg", ""), ("/two.jpg", "Two")]


def test_images_of_the_file_come_before_those_it_does_not_name(tmp_path: Path) -> None:
    run_import(tmp_path, "sku,title,price,image", "A,Lamp,1,/old.jpg")
    for expected in ("updated", "unchanged"):
        report = run_import(tmp_path, "sku,image", "A,/new.jpg")
        assert report["products"][expected] == 1
    assert Product.objects.get().image_url == "/new.jpg"
    assert list(Image.objects.values_list("url", flat=True)) == ["/new.jpg", "/old.jpg"]


def test_an_import_moves_the_version_of_a_product_whose_variant_it_changes(tmp_path: Path) -> None:
    """Whoever has read the product with its variants, and writes upon that version, would undo the import."""
    product = make_product(sku="A")
    report = run_import(tmp_path, "sku,barcode", "A,4006381333931")
    assert report["products"]["updated"] == 1
    assert Product.objects.get().version == product.version + 1


def test_a_file_without_stock_makes_no_stock_rows(tmp_path: Path) -> None:
    run_import(tmp_path, "sku,title,price,stock", "A,Lamp,1,", "B,Lamp,1,0")
    assert list(Stock.objects.values_list("variant__sku", "on_hand")) == [("B", 0)]


def test_bom_crlf_semicolons_and_lines_inside_quotes_are_read(tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_bytes('\ufeffsku;title;price;description\r\nA;"Lampe ""Ö""";5.5;"one\r\ntwo"\r\n\r\nB;B;x;\r\n'.encode())
    report = import_file(file)
    assert Product.objects.get().title == 'Lampe "Ö"'
    assert Product.objects.get().text.description == "one\r\ntwo"
    assert [line for line, _ in list_errors(report)] == [5]


def test_what_an_export_guarded_against_spreadsheets_comes_back_as_it_was(tmp_path: Path) -> None:
    run_import(tmp_path, "sku,title,price", "A,'=Sum,1", "B,'tis,1")
    assert list(Product.objects.order_by("sku").values_list("title", flat=True)) == ["=Sum", "'tis"]


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.once  # refused before any SQL
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("price", "-1", "price: '-1' is below 0; give 0 or more"),
        (
            "price",
            "12,50",
            "price: '12,50' has a comma, between thousands or before decimal places; name the decimal sign",
        ),
        ("price", "NaN", "price: 'NaN' is not a number"),
        ("price", "1e999", "has more than 12 digits; give at most 9999999999.99"),
        ("price", "#N/A", "price: '#N/A' is the error of a formula, or of a column that was too narrow"),
        (
            "sku",
            "#N/A",
            "sku: '#N/A' is the error of a formula, or of a column that was too narrow; correct it, or enter the value",
        ),
        ("price", "1_0", "is not a number"),
        ("price", "٣", "is not a number"),
        ("price", "1.0051", "has more than two decimal places; round it, as in 12.50"),
        ("price", "1.005", "or have three decimal places; name the decimal sign by the option decimal, as . or ,"),
        (
            "sku",
            "1.23E+12",
            "is a code that a spreadsheet has rounded; format the column as text, enter the code again",
        ),
        ("weight", "1.5", "has no unit and isn't a whole number of grams; name the unit by the option weight_unit"),
        ("weight", "2 stone", "has the unknown unit 'stone'; give it in g, kg, lb or oz"),
        ("price", "10000000000", "has more than 10 digits before the decimal point"),
        ("compare_at_price", "£3", "compare_at_price: '£3' is in GBP, not in this server's USD; convert the prices"),
        ("price", "3 apples", "price: '3 apples' is not a number"),
        ("price", "$3 USD", "price: '$3 USD' is not a number"),
        ("rating", "5.01", "rating: '5.01' is above 5; give 0 to 5"),
        ("stock", "1.5", "stock: '1.5' is not a whole number"),
        ("stock", "2147483648", "is above 2,147,483,647"),
        ("status", "gone", "status: 'gone' is not one of active, draft, archived; give one of these"),
        ("currency", "CHF", "is not this server's"),
        ("title", "T" * 501, "has 501 characters; shorten it to 500"),
        ("title", "a\0b", "title: 'a\\x00b' holds a NUL character; remove it"),
        ("slug", "a b", "is not a slug"),
        ("image", "javascript:alert(1)", "begins with javascript:"),
        ("image", "java\tscript:alert(1)", "holds U+0009 as its character 5, which can't be seen; remove it"),
        ("image", "//elsewhere.example/a.jpg", "is not a full address"),
        ("image", "\\\\a.example\\a.jpg", "or a path of this server that begins with one /"),
        ("title", "La\u200bmp", "holds U+200B as its character 3, which can't be seen; remove it"),
        ("image", "€" * 900, "has 2,700 bytes; shorten it to 2,000"),
        ("category", ">".join("abcdefghijklmnopqrstu"), "has 21 levels; give at most 20"),
        ("attributes", "[1]", "is not a JSON object"),
        ("attributes", '"{""a"": 1e300}"', "holds a number of more than 15 digits"),
        ("sku", "S" * 101, "has 101 characters; shorten it to 100"),
    ],
)
def test_a_bad_value_is_refused_with_column_value_rule_and_remedy(
    column: str, value: str, reason: str, tmp_path: Path
) -> None:
    cells = {"sku": "A", "title": "Lamp", "price": "1"} | {column: value if "," not in value else f'"{value}"'}
    if value.startswith('"'):
        cells[column] = value
    report = run_import(tmp_path, ",".join(cells), ",".join(cells.values()), "B,Good,1" + "," * (len(cells) - 3))
    assert [line for line, _ in list_errors(report)] == [2]
    assert reason in report["errors"][0]["reason"]
    assert list(Product.objects.values_list("sku", flat=True)) == ["B"]


def test_every_fault_of_a_row_is_named_at_once(tmp_path: Path) -> None:
    report = run_import(tmp_path, "sku,title,price,rating", ",Lamp,x,9")
    assert [reason.split(":")[0] for _, reason in list_errors(report)] == ["sku", "price", "rating"]
    assert report["products"]["refused"] == 1


def test_a_file_with_a_byte_that_is_not_utf_8_is_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "latin.csv"
    file.write_bytes(b"sku,title,price\nA,Lamp\xe9,1\nB,Good,1\n")
    with pytest.raises(CommandError, match=r"its line 2 has the byte 0xE9\. It seems to be windows-1252"):
        import_file(file)
    assert not Product.objects.exists()
    assert import_file(file, encoding="windows-1252")["products"]["created"] == 2
    assert Product.objects.get(sku="A").title == "Lampé"


def test_rows_with_another_number_of_cells_are_refused(tmp_path: Path) -> None:
    report = run_import(tmp_path, "sku,title,price", "A,Lamp, brass,1", "B,Short", "C,Good,1")
    assert [line for line, _ in list_errors(report)] == [2, 3]
    assert report["errors"][0]["sku"] == "A"


def test_a_quote_that_is_never_closed_is_refused_where_it_begins(tmp_path: Path) -> None:
    report = run_import(tmp_path, "sku,title,price", "A,Good,1", 'B,"Lamp,1', "C,Lost,1")
    ((line, reason),) = list_errors(report)
    assert line == 3
    assert "read up to line 4" in reason
    assert list(Product.objects.values_list("sku", flat=True)) == ["A"]


def test_a_sku_that_an_earlier_line_has_is_refused_with_both_lines(tmp_path: Path) -> None:
    report = run_import(tmp_path, "sku,title,price", "A,First,1", "B,Other,1", "A,Second,2")
    ((line, reason),) = list_errors(report)
    assert line == 4
    assert "'A' is already on line 2" in reason
    assert Product.objects.get(sku="A").title == "First"


def test_a_row_of_sums_is_no_product_unless_it_is_one_already(tmp_path: Path) -> None:
    rows = ("sku,title,price", "A,Mug,1", "Grand Total,2 items,3", "Summe,,3")
    report = run_import(tmp_path, *rows)
    sentence = "is what a row of sums is called; leave it out, or give another SKU"
    assert list_errors(report) == [(3, f"sku: 'Grand Total' {sentence}"), (4, f"sku: 'Summe' {sentence}")]
    assert not Product.objects.exclude(sku="A").exists()
    make_product(sku="Grand Total", title="A band")
    assert [line for line, _ in list_errors(run_import(tmp_path, *rows))] == [4]


def test_a_variant_of_another_product_is_refused(tmp_path: Path) -> None:
    make_product(sku="HERS", variants=2)
    report = run_import(tmp_path, "sku,title,price", "HERS-2,Mine,1", "B,Good,1")
    ((line, reason),) = list_errors(report)
    assert (line, "'HERS-2' belongs to another variant" in reason) == (2, True)
    assert Product.objects.filter(sku="B").exists()


def test_a_stock_below_what_is_reserved_is_refused(tmp_path: Path) -> None:
    product = make_product(stock=5)
    Stock.objects.update(reserved=3)
    report = run_import(tmp_path, "sku,stock", f"{product.sku},2")
    assert "stock: 2 is below the 3 reserved pieces" in report["errors"][0]["reason"]
    assert Stock.objects.get().on_hand == 5


def test_a_plain_price_for_a_product_of_several_variants_is_refused(tmp_path: Path) -> None:
    run_import(tmp_path, *SHIRT)
    report = run_import(tmp_path, "sku,price", "shirt,1")
    assert "has variants of its own" in report["errors"][0]["reason"]
    assert not run_import(tmp_path, "sku,title", "shirt,New")["errors"]


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (b"", {}, "is empty"),
        (b"PK\x03\x04xlsx", {}, "an Excel workbook, but damaged"),
        (b"sku,sku\n", {}, "has two columns 'sku'"),
        (b"sku" + b",a" * 40_000 + b"\n", {}, "has 40,001 columns, but at most 1,000 are allowed: leave some out"),
        (b'{"sku": "A"%s}\n' % b"".join(b', "%d": 1' % n for n in range(1_000)), {}, "has 1,001 columns"),
        (b"sku,titl\xe9\n", {}, "isn't UTF-8: its line 1 has the byte 0xE9. It seems to be windows-1252"),
        (b"skuu,title\n", {}, "has no column sku, and products are found by it: name your column, as in map sku=skuu"),
        (b"sku,title\n", {"map": "titel=title"}, "'titel' is not a field of a product: did you mean title?"),
        (b"sku,product\n", {"map": "title=prodct"}, "has no column 'prodct'. Did you mean product?"),
        (b"sku,product\n", {"map": "title"}, "'title' is not field=column"),
        (b"sku,a\n", {"map": "title=a,title=a"}, "names title twice"),
        (b"sku,title\n", {"format": "shopify"}, "hasn't the columns of"),
        (b"Handle,Title\n", {"map": "sku=Handle"}, "the columns of Shopify CSV are fixed"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    content: bytes, options: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        call_command("import_products", str(file), **options)
    assert sentence in str(caught.value)
    assert caught.value.returncode == 2


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.csv can't be read: No such file"):
        call_command("import_products", str(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"sku": ' + "[" * 100_000, '{"sku": "\\ud800"}', '{"sku": NaN}'])
def test_a_line_that_is_no_product_is_refused_by_its_number(line: str, tmp_path: Path) -> None:
    good = '{"sku": "A", "title": "Lamp", "price": 1}'
    report = run_import(tmp_path / "file.ndjson", good, line)
    assert {number for number, _ in list_errors(report)} == {2}
    assert report["products"]["created"] == 1


# -- again, and dry ------------------------------------------------------------------------------------------------


def test_a_second_import_changes_nothing_and_says_so(tmp_path: Path) -> None:
    run_import(tmp_path, *SHIRT)
    before = snapshot()
    out = StringIO()
    call_command("import_products", str(tmp_path / "file.csv"), stdout=out, stderr=StringIO())
    assert snapshot() == before
    assert "Nothing changed, the catalogue already says what file.csv says" in out.getvalue()


def test_what_the_command_imported_is_undone_by_its_request_id(tmp_path: Path, staff: APIClient) -> None:
    make_product(sku="A", title="Old", price="1.00")
    before = read_shop()
    file, out = tmp_path / "file.csv", StringIO()
    file.write_text("sku,title,price\nA,New,2\nB,Lamp,3\n")
    call_command("import_products", str(file), stdout=out, stderr=StringIO())
    [request_id] = re.findall(r"undo the request id (import_products/\w+)\.", out.getvalue())
    assert read_shop() != before
    assert undo(staff, request_id=request_id)["conflicts"] == []
    assert read_shop() == before


def test_a_dry_run_reports_what_the_real_run_does_and_writes_nothing(tmp_path: Path) -> None:
    make_product(sku="OLD", title="Old")
    lines = ["sku,title,price,brand,category", "OLD,New,2,,", "A,Lamp,x,,", "B,Lamp,1,Oleo,Home", "B,Lamp,1,,"]
    before = snapshot()
    dry = run_import(tmp_path, *lines, dry_run=True)
    assert snapshot() == before
    real = run_import(tmp_path, *lines)
    assert dry.pop("dry_run")
    assert not real.pop("dry_run")
    assert dry.pop("request_id") != real.pop("request_id")
    assert dry | {"seconds": 0} == real | {"seconds": 0}
    assert real["products"] == {"created": 1, "updated": 1, "unchanged": 0, "refused": 2}


def test_the_summary_names_the_refused_lines_and_the_command_ends_with_one(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("sku,title,price\nA,[red]Lamp[/red],x\nB,Good,1\n")
    out = StringIO()
    with pytest.raises(CommandError, match="1 product was refused") as caught:
        call_command("import_products", str(file), stdout=out, stderr=StringIO())
    assert caught.value.returncode == 1
    assert "line 2, A: price: 'x' is not a number" in out.getvalue()


def test_without_a_terminal_progress_is_plain_lines_beside_the_json(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("sku,title,price\nA,Lamp,1\n")
    out, aside = StringIO(), StringIO()
    with patch.object(import_products, "LINE_SECONDS", 0):
        call_command("import_products", str(file), json=True, stdout=out, stderr=aside)
    assert aside.getvalue().startswith("1 rows, ")
    assert json.loads(out.getvalue())["products"]["created"] == 1


def test_a_database_that_gives_up_ends_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("sku,title,price\nA,Lamp,1\n")
    lost = patch.object(runs, "import_batch", side_effect=OperationalError("the connection is lost\nDETAIL"))
    with lost, pytest.raises(CommandError, match=r"the database failed \(the connection is lost\); complete batches"):
        call_command("import_products", str(file), stderr=StringIO())
