"""The options of an import that say what to write, and what our own exports bring back."""

import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import OperationalError
from rest_framework.test import APIClient

from catalog.imports import upsert
from catalog.imports.options import Options
from catalog.imports.previews import Preview
from catalog.imports.readers import open_source
from catalog.imports.report import Report
from catalog.imports.runs import ImportRun
from catalog.models import Brand, Image, ImportJob, Product, Stock, Variant
from tests.catalog.conftest import import_file, list_files, send_body, send_form
from tests.factories import make_brand, make_caller, make_category, make_product, make_user

pytestmark = pytest.mark.django_db

ROWS = "sku,title,price\nA,Lamp,1\nB,Torch,2\n"


def run(content: str | bytes, name: str = "file.csv", *, dry_run: bool = False, **options: Any) -> Report:
    chosen = Options(**options)
    stream = BytesIO(content.encode() if isinstance(content, str) else content)
    done = ImportRun(open_source(stream, name, chosen), chosen, dry_run=dry_run)
    for _ in done.take_steps():
        pass
    return done.report


def list_states() -> dict[str, str]:
    return dict(Product.objects.order_by("sku").values_list("sku", "status"))


def test_new_products_have_the_status_of_the_option() -> None:
    make_product(sku="A", status="active")
    run(ROWS, status="draft")
    assert list_states() == {"A": "active", "B": "draft"}


def test_update_only_and_create_only_skip_the_others_and_count_them() -> None:
    make_product(sku="A", title="Old")
    assert run(ROWS, update_only=True).count_all()["products"]["skipped"] == 1
    assert list(Product.objects.values_list("title", flat=True)) == ["Lamp"]
    report = run(ROWS.replace("Lamp", "New"), create_only=True)
    assert (report.products.created, report.skipped, report.refused) == (1, 1, 0)
    assert list(Product.objects.order_by("sku").values_list("title", flat=True)) == ["Lamp", "Torch"]


def test_what_the_file_does_not_name_is_archived_if_asked() -> None:
    make_product(sku="OLD")
    assert run(ROWS, missing="archive", dry_run=True).archived == 1
    assert list_states() == {"OLD": "active"}
    run(ROWS)
    assert list_states()["OLD"] == "active"
    assert run(ROWS, missing="archive").archived == 1
    assert list_states() == {"A": "active", "B": "active", "OLD": "archived"}
    assert run(ROWS, missing="archive").archived == 0


def test_nothing_is_archived_if_a_row_was_refused() -> None:
    make_product(sku="OLD")
    report = run(ROWS + "C,,x\n", missing="archive")
    assert (report.archived, list_states()["OLD"]) == (0, "active")
    assert report.guessed[-1]["reason"] == "nothing was archived: 1 rows were refused, and may name products"


def test_a_deleted_product_of_matrixify_is_deleted() -> None:
    make_product(sku="A", slug="a")
    report = run("Handle,Command,Title,Variant Price\na,DELETE,A,1\nb,DELETE,B,1\n")
    assert (report.deleted, report.skipped, Product.objects.count()) == (1, 1, 0)


def test_a_row_that_deletes_needs_the_permission_of_the_jobs_owner(files: Path) -> None:
    make_product(sku="A", slug="a")
    content = b"Handle,Command,Title,Variant Price\na,DELETE,A,1\nb,DELETE,B,1\nc,NEW,C,1\n"
    importer = APIClient()
    importer.force_authenticate(user := make_user())
    user.user_permissions.add(Permission.objects.get(codename="import_product"))
    answer = importer.generic("POST", "/api/v1/imports/preview/", content, "text/csv")
    assert (answer.status_code, answer.json()["errors_total"]) == (200, 2), answer.json()
    job = import_file(importer, content)
    rule = "Deletes a product, which needs the permission catalog.delete_product"
    assert list(job.errors.values_list("line", "key", "column", "rule", "remedy")) == [
        (line, key, "Command", rule, "ask for it, or remove the row") for line, key in ((2, "a"), (3, "b"))
    ]
    assert list_states() == {"A": "active", "c": "active"}
    assert import_file(make_caller("Catalogue editor"), content).report["products"]["deleted"] == 1
    assert list_states() == {"c": "active"}


def test_two_options_that_exclude_each_other_are_refused(db: None) -> None:
    caller = make_caller("Catalogue editor")
    answer = send_form(caller, ROWS.encode(), update_only="true", create_only="true")
    assert "give one of them" in answer.json()["detail"]
    assert send_form(caller, ROWS.encode(), decimal=";").json()["errors"][0]["pointer"] == "/decimal"


def test_options_are_kept_with_the_job_and_the_report_with_its_notes(caller: APIClient) -> None:
    content = "sku;title;price;Stok\nA;Lamp;1.290,50;4\n".encode("windows-1252")
    job = import_file(caller, content, decimal=",", encoding="windows-1252", status="draft", missing="keep")
    assert job.options == {"decimal": ",", "encoding": "windows-1252", "status": "draft"}
    shown = caller.get(f"/api/v1/imports/{job.pk}/").json()
    assert shown["options"] == job.options
    assert shown["unread_columns"] == [{"column": "Stok", "near": "stock"}]
    assert list(Product.objects.values_list("status", "price")) == [("draft", 1290.5)]


@pytest.mark.parametrize(
    "kind", ["application/vnd.ms-excel", "text/plain", "application/json", "application/x-zip-compressed"]
)
def test_the_types_of_browsers_and_windows_are_taken(kind: str, caller: APIClient) -> None:
    assert send_body(caller, ROWS.encode(), kind=kind).status_code == 201


def test_errors_have_their_parts(caller: APIClient) -> None:
    job = import_file(caller, b"sku,title,price\nA,Lamp,-1\n")
    assert list(job.errors.values_list("line", "key", "column", "value", "rule", "remedy")) == [
        (2, "A", "price", "'-1'", "is below 0", "give 0 or more")
    ]


# -- deadlocks -----------------------------------------------------------------------------------------------------


class Deadlock(Exception):
    sqlstate = "40P01"


def test_a_batch_that_is_deadlocked_is_tried_again() -> None:
    real, calls = upsert.write_batch, []

    def write(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise OperationalError("deadlock detected") from Deadlock()
        return real(*arguments)

    with patch.object(upsert, "write_batch", write):
        assert run(ROWS).products.created == 2
    assert len(calls) == 2


# -- what our own exports bring back -------------------------------------------------------------------------------


def test_our_own_stock_comes_back_to_each_location() -> None:
    product = make_product(sku="A", variants=2)
    first, second = product.variants.order_by("pk")
    rows = f"1,5,{first.sku},outlet,44,0\n2,5,{first.sku},main,3,0\n3,6,{second.sku},main,7,0\n"
    report = run("id,variant,sku,location,on_hand,reserved\n" + rows)
    assert not report.errors
    found = Stock.objects.order_by("variant_id", "location").values_list("variant__sku", "location", "on_hand")
    assert list(found) == [(first.sku, "main", 3), (first.sku, "outlet", 44), (second.sku, "main", 7)]
    report = run("sku,location,on_hand\nNOWHERE,main,1\n")
    rule = "There is no variant with the SKU 'NOWHERE', and the file doesn't say of which product; import it first"
    assert report.errors[0].reason == f"sku: {rule}"
    # A count, as the admin's page writes it from pasted lines: the second variant's SKU, too.
    report = run(f"sku, on_hand\n{second.sku}, 9\n{first.sku}, 0\n")
    assert not report.errors
    assert list(found.filter(location="main").values_list("on_hand", flat=True)) == [0, 9]
    report = run(f"sku,on_hand\n{first.sku},1\n{first.sku},2\n")
    assert "'main' is already on an earlier line" in report.errors[0].reason
    # A file of products that has such a column isn't a count.
    assert not run("sku,on_hand,title,price\nLAMP,4,Lamp,5\n").errors
    assert Product.objects.get(sku="LAMP").title == "Lamp"


def test_a_new_variant_goes_to_the_product_that_the_file_names() -> None:
    make_product(sku="A", variants=2)
    make_product(sku="B")
    rows = ("B,B-9,8.00", "A,B,9.00", "C,C-1,7.00", ",D-1,7.00", "C,A-2,6.00", "A,A-3,", "B,B-9,1.00", "A,,1")
    report = run("product_sku,sku,price\n" + "\n".join(rows))
    assert [(error.line, error.reason) for error in report.errors] == [
        (3, "sku: 'B' belongs to another product; give this one another SKU"),
        (4, "product_sku: There is no product with the SKU 'C' for the variant 'C-1'; import the products first"),
        (
            5,
            "sku: There is no variant with the SKU 'D-1', and the file doesn't say of which product; import it first",
        ),
        (7, "price: There is no variant 'A-3' yet, and a new one needs a price; give one"),
        (8, "sku: 'B-9' is already on line 2; keep one of the two, or give one another SKU"),
        (9, "sku: '' is blank; give a SKU"),
    ]
    # The product of A-2 has another SKU by now.
    found = Variant.objects.order_by("pk").values_list("product__sku", "sku", "price", "position")
    assert list(found) == [("A", "A", 10, 1), ("A", "A-2", 6, 2), ("B", "B", 10, 1), ("B", "B-9", 8, 2)]


def test_our_own_variants_come_back_each_with_its_own_price() -> None:
    product = make_product(sku="A", variants=2)
    first, second = product.variants.order_by("pk")
    header = "id,product,sku,barcode,options,price,weight,position\n"
    rows = f'9,9,{first.sku},,"{{""Size"": ""S""}}",8.00,250,1\n9,9,{second.sku},4006381333931,{{}},8.50,300,2\n'
    assert run(header + rows).variants.updated == 2
    assert run(header + rows).variants.unchanged == 2
    found = Variant.objects.order_by("pk").values_list("price", "weight", "barcode", "options")
    assert list(found) == [(8, 250, "", {"Size": "S"}), (8.5, 300, "4006381333931", {})]


def test_our_own_products_with_all_that_belongs_to_them_come_back(staff: APIClient) -> None:
    brand = make_brand("Tide Water")
    Brand.objects.update(slug="tidewater")
    category = make_category("Décor", "Vases")
    product = make_product(sku="A", title="Café", brand=brand, category=category, variants=2, images=2, stock=3)
    Image.objects.filter(product=product).update(alt="Front")
    Stock.objects.create(variant=product.variants.order_by("pk")[0], location="outlet", on_hand=8)
    fields = "expand=brand,category,images,variants,variants.stock"
    row = staff.get(f"/api/v1/products/{product.pk}/?{fields}").json()
    before = read_all()
    report = run(json.dumps(row) + '\n{"_end":true,"rows":1}\n', "products.ndjson")
    assert (report.products.unchanged, report.errors) == (1, [])
    Product.objects.all().delete()
    Brand.objects.all().delete()
    assert run(json.dumps(row) + "\n", "products.ndjson").products.created == 1
    assert read_all() == before


def read_all() -> list[Any]:
    """What a file may hold, without ids, versions and times."""
    return [
        list(
            Product.objects.values_list("sku", "slug", "title", "brand__slug", "category__slug", "price", "attributes")
        ),
        list(Variant.objects.order_by("position").values_list("sku", "price", "options", "weight", "barcode")),
        list(Stock.objects.order_by("variant__sku", "location").values_list("variant__sku", "location", "on_hand")),
        list(Image.objects.order_by("position").values_list("url", "alt", "position")),
    ]


# -- previews ------------------------------------------------------------------------------------------------------

SHOP = (
    "Handle,Title,Vendor,Option1 Name,Option1 Value,Variant Price,Colour\n"
    "shirt,Shirt,Acme,Size,S,20,x\nhat,Hat,Acme,Size,S,cheap,x\nshirt,,,,M,22,x\n"
)


def test_a_preview_shows_what_an_import_would_do_and_writes_nothing(caller: APIClient, files: Path) -> None:
    answer = caller.generic("POST", "/api/v1/imports/preview/?name=shop.csv", SHOP.encode(), "text/csv")
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert (body["format"], body["rows"], body["errors_total"]) == ("shopify", 3, 1)
    assert body["columns"][2:4] == [
        {"column": "Vendor", "field": "brand"},
        {"column": "Option1 Name", "field": "options"},
    ]
    assert body["unread_columns"] == [{"column": "Colour", "near": ""}]
    assert (body["errors"][0]["column"], body["errors"][0]["value"]) == ("Variant Price", "'cheap'")
    (shirt,) = body["products"]
    assert (shirt["slug"], shirt["brand"], len(shirt["variants"])) == ("shirt", "Acme", 2)
    assert body["counts"]["products"] == {"created": 1, "updated": 0, "unchanged": 0, "refused": 1}
    assert not Product.objects.exists()
    assert not ImportJob.objects.exists()
    assert not list_files(files)


def test_a_preview_of_a_file_that_cannot_be_used_says_so(caller: APIClient, files: Path) -> None:
    answer = caller.generic("POST", "/api/v1/imports/preview/", b"%PDF-1.7", "text/csv")
    assert (answer.status_code, answer.json()["code"]) == (422, "file_refused")
    assert not list_files(files)


def test_a_preview_shows_no_product_that_only_the_database_refuses() -> None:
    make_product(sku="OLD", slug="taken")
    rows = "sku,title,price,slug\nA,Lamp,1,\nB,Torch,2,taken\nA,Lamp,3,\nTotal,,6,\n"
    body = Preview(open_source(BytesIO(rows.encode()), "file.csv"), Options()).look()
    assert [error["line"] for error in body["errors"]] == [3, 4, 5]
    assert [(product["line"], product["sku"]) for product in body["products"]] == [(2, "A")]


@pytest.mark.slow
def test_a_preview_reads_a_thousand_rows_and_shows_twenty_products() -> None:
    rows = "".join(f"S{number},Lamp,1\n" for number in range(3_000))
    chosen = Options()
    body = Preview(open_source(BytesIO(b"sku,title,price\n" + rows.encode()), "file.csv"), chosen).look()
    assert (body["rows"], len(body["products"]), body["counts"]["products"]["created"]) == (1_000, 20, 1_000)
    assert not Product.objects.exists()


def test_the_command_shows_a_preview(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text(ROWS)
    out = StringIO()
    call_command("import_products", str(file), preview=True, stdout=out)
    assert [product["title"] for product in json.loads(out.getvalue())["products"]] == ["Lamp", "Torch"]
    assert not Product.objects.exists()
