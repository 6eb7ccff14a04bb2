"""`POST /api/v1/changes/undo/`: what was changed is taken back, but for what others changed since."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Order
from catalog.changes.undo import jobs as undo_jobs
from catalog.changes.undo import submitting
from catalog.changes.undo.tasks import advance_undo
from catalog.models import Brand, Change, Image, Product, Stock, UndoJob, Variant
from config.api.database.authorship import sign_writes
from config.logs import REQUEST_ID
from tests.catalog.changes.undo.shop import URL, read_shop, undo
from tests.catalog.conftest import import_file
from tests.factories import make_brand, make_caller, make_category, make_product

pytestmark = pytest.mark.django_db

MINE, OTHER = {"X-Request-ID": "mine"}, {"X-Request-ID": "other"}


def price(caller: APIClient, headers: dict[str, str], **prices: str) -> None:
    body = [{"sku": sku, "price": amount} for sku, amount in prices.items()]
    assert caller.patch("/api/v1/prices/bulk/", body, format="json", headers=headers).status_code == 200


def test_a_deleted_product_comes_back_with_all_that_belongs_to_it(staff: APIClient) -> None:
    product = make_product(brand=make_brand("Acme"), category=make_category("Food"), variants=2, images=2, stock=3)
    before = read_shop()
    staff.delete(f"/api/v1/products/{product.pk}/", headers=MINE)
    assert undo(staff, request_id="mine", dry_run=True)["report"]["stock"] == {"created": 2}
    assert not Product.objects.exists()
    job = undo(staff, request_id="mine")
    assert (job["status"], job["percent"], job["conflicts"]) == ("ready", 100, [])
    assert job["report"] == {
        "product": {"created": 1}, "text": {"created": 1}, "variant": {"created": 2}, "image": {"created": 2},
        "stock": {"created": 2},
    }  # fmt: skip
    assert read_shop() == before
    shown = staff.get(f"/api/v1/products/{product.pk}/?expand=variants.stock,images").json()
    assert (shown["price"], shown["in_stock"], len(shown["variants"])) == ("10.00", True, 2)
    assert shown["version"] > product.version, "no client may take it for the row that it had"


def test_what_somebody_changed_since_is_listed_and_skipped_or_forced(staff: APIClient) -> None:
    make_product(sku="A", price="5.00")
    make_product(sku="B", price="6.00")
    price(staff, MINE, A="1.00", B="2.00")
    price(staff, OTHER, A="9.00")
    job = undo(staff, request_id="mine")
    assert job["report"] == {"variant": {"updated": 1, "skipped": 1}}
    [conflict] = job["conflicts"]
    assert (conflict["sku"], conflict["reason"], conflict["columns"]) == ("A", "changed", ["price"])
    assert conflict["detail"] == "Somebody changed price since."
    prices = Variant.objects.order_by("sku").values_list("price", flat=True)
    assert list(map(str, prices)) == ["9.00", "6.00"]
    assert undo(staff, request_id="mine", on_conflict="force")["conflicts_total"] == 0
    assert list(map(str, prices.all())) == ["5.00", "6.00"]
    assert str(Product.objects.get(sku="A").price) == "5.00"


def test_a_column_that_only_others_changed_stays(staff: APIClient) -> None:
    product = make_product(title="Old", status="draft")
    address = f"/api/v1/products/{product.pk}/"
    staff.patch(address, {"title": "New", "status": "active"}, headers=MINE)
    staff.patch(address, {"rating": "4.00"}, headers=OTHER)
    assert undo(staff, request_id="mine")["conflicts"] == []
    product.refresh_from_db()
    assert (product.title, product.status, str(product.rating)) == ("Old", "draft", "4.00")


def test_one_column_goes_back_and_the_others_stay(staff: APIClient) -> None:
    product, other = make_product(title="Old", status="draft"), make_product(title="Theirs", status="draft")
    for row in (product, other):
        staff.patch(f"/api/v1/products/{row.pk}/", {"title": "New", "status": "active"}, headers=MINE)
    staff.delete(f"/api/v1/products/{make_product().pk}/", headers=MINE)
    staff.patch(f"/api/v1/products/{product.pk}/", {"status": "archived"}, headers=OTHER)
    staff.patch(f"/api/v1/products/{other.pk}/", {"title": "Another"}, headers=OTHER)
    job = undo(staff, request_id="mine", columns=["title"])
    assert (job["columns"], job["report"]) == (["title"], {"product": {"updated": 1, "skipped": 1}})
    assert [(one["sku"], one["columns"]) for one in job["conflicts"]] == [(other.sku, ["title"])]
    rows = Product.objects.order_by("pk").values_list("title", "status")
    assert list(rows) == [("Old", "archived"), ("Another", "active")], "deleted rows stay deleted"
    undo(staff, request_id=f"undo/{job['id']}")
    assert rows.all()[0] == ("New", "archived")
    refused = staff.post(URL, {"request_id": "mine", "columns": ["title", "colour"]}, format="json").json()
    assert [(one["pointer"], one["code"]) for one in refused["errors"]] == [("/columns/1", "invalid_choice")]


@pytest.mark.slow
def test_a_new_product_is_deleted_unless_somebody_else_wrote_to_it(staff: APIClient) -> None:
    for sku in ("A", "B"):
        body = {"sku": sku, "title": sku, "variants": [{"sku": sku, "price": "3.00", "on_hand": 1}]}
        assert staff.post("/api/v1/products/", body, format="json", headers=MINE).status_code == 201
    staff.patch("/api/v1/stock/bulk/", [{"sku": "B", "on_hand": 4}], format="json", headers=OTHER)
    trial = undo(staff, request_id="mine", dry_run=True)
    assert trial["report"]["product"] == {"deleted": 1, "skipped": 1}
    job = undo(staff, request_id="mine")
    assert (job["report"], job["conflicts"]) == (trial["report"], trial["conflicts"])
    assert list(Product.objects.values_list("sku", flat=True)) == ["B"]
    reasons = {conflict["entity"]: conflict["reason"] for conflict in job["conflicts"]}
    assert (reasons["product"], reasons["stock"]) == ("used", "changed")
    assert undo(staff, request_id="mine", on_conflict="force")["conflicts"] == []
    assert (Product.objects.count(), Stock.objects.count()) == (0, 0)


def test_a_new_product_that_stays_keeps_its_variants(staff: APIClient) -> None:
    job = import_file(make_caller("Catalogue editor"), b"sku,title,price\nA,Lamp,1\nB,Lamp,1\n")
    path = f"/api/v1/products/{Product.objects.get(sku='B').pk}/"
    assert staff.patch(path, {"title": "Edited"}, format="json", headers=OTHER).status_code == 200
    report = undo(staff, request_id=f"import/{job.pk}")["report"]
    assert report["variant"] == report["text"] == report["product"] == {"deleted": 1, "skipped": 1}
    assert Product.objects.get().variants.count() == 1


def test_an_image_that_gets_its_url_back_keeps_nothing_of_the_other_picture(staff: APIClient) -> None:
    image = make_product(images=1).images.get()
    path = f"/api/v1/products/{image.product_id}/images/{image.pk}/"
    assert staff.patch(path, {"url": "/media/other.jpg"}, format="json", headers=MINE).status_code == 200
    Image.objects.update(width=800, height=600, thumbnails={"small": "/media/other-160.webp"})
    assert undo(staff, request_id="mine")["conflicts"] == []
    before, image = image, Image.objects.get()
    assert (image.url, image.width, image.height, image.thumbnails) == (before.url, None, None, None)


def test_an_undo_is_undone_like_any_other_change(staff: APIClient) -> None:
    product = make_product(variants=2, images=1)
    price(staff, MINE, **dict.fromkeys(Variant.objects.values_list("sku", flat=True), "1.00"))
    staff.delete(f"/api/v1/products/{product.pk}/", headers=MINE)
    after = read_shop()
    first = undo(staff, request_id="mine")
    second = undo(staff, request_id=f"undo/{first['id']}")
    assert read_shop() == after
    undo(staff, request_id=f"undo/{second['id']}")
    assert str(Product.objects.get().price) == "10.00"


def test_products_go_back_to_a_position(staff: APIClient) -> None:
    product, other = make_product(images=2, variants=2), make_product()
    before, position = read_shop(), Change.objects.latest("position").position
    address = f"/api/v1/products/{product.pk}/"
    staff.patch(address, {"title": "X", "images": [{"url": "https://a.example/x.png"}]}, headers=MINE)
    Stock.objects.filter(variant__product=product).update(on_hand=9)
    staff.delete(address, headers=OTHER)
    staff.patch(f"/api/v1/products/{other.pk}/", {"title": "Stays"})
    assert undo(staff, position=position, products=[product.pk])["conflicts"] == []
    assert read_shop() == before | {("Product", other.pk): before["Product", other.pk] | {"title": "Stays"}}


FIRST = b"sku,title,brand,category,price,stock\nA,Lamp,Acme,Home/Light,1.50,3\nB,Torch,Acme,Home,2,0\n"
AGAIN = b"sku,title,brand,category,price,stock\nA,Lamp II,Zeta,Home/Light,1.60,4\nC,Kettle,Zeta,Kitchen,9,1\n"


@pytest.mark.slow
def test_an_import_is_undone_with_the_brands_and_categories_that_it_made(staff: APIClient) -> None:
    caller = make_caller("Catalogue editor")
    import_file(caller, FIRST)
    before = read_shop()
    job = import_file(caller, AGAIN)
    done = undo(caller, import_id=job.pk)
    assert (done["conflicts"], done["request_id"]) == ([], f"import/{job.pk}")
    assert read_shop() == before
    assert undo(caller, request_id=f"undo/{done['id']}")["conflicts"] == []
    assert set(Brand.objects.values_list("slug", flat=True)) == {"acme", "zeta"}
    # A brand that somebody uses since stays, and says why.
    make_product(brand=Brand.objects.get(slug="zeta"))
    [conflict] = undo(caller, import_id=job.pk, on_conflict="force")["conflicts"]
    assert (conflict["entity"], conflict["reason"]) == ("brand", "needed")


def test_what_an_import_overwrote_without_keeping_it_cant_come_back(settings: Any) -> None:
    settings.IMPORT_KEEPS_BEFORE = False
    caller = make_caller("Catalogue editor")
    import_file(caller, FIRST)
    job = import_file(caller, AGAIN)
    done = undo(caller, import_id=job.pk)
    assert {conflict["reason"] for conflict in done["conflicts"] if conflict["sku"] == "A"} == {"not_kept"}
    assert set(Product.objects.values_list("sku", flat=True)) == {"A", "B"}


def test_a_value_that_another_row_has_by_now_is_named(staff: APIClient) -> None:
    product = make_product(sku="A", slug="tea")
    staff.delete(f"/api/v1/products/{product.pk}/", headers=MINE)
    body = {"sku": "A", "title": "Coffee", "price": "1.00"}
    assert staff.post("/api/v1/products/", body, headers=OTHER).status_code == 201
    reasons = {conflict["entity"]: conflict["reason"] for conflict in undo(staff, request_id="mine")["conflicts"]}
    assert (reasons["product"], reasons["image"]) == ("taken", "missing")
    assert Product.objects.count() == 1


def rename_round(model: Any, name: str, headers: dict[str, str]) -> None:
    """Each row gets the value of the next one, the last one that of the first."""
    rows = list(model.objects.order_by("pk"))
    values = [getattr(row, name) for row in rows]
    token = REQUEST_ID.set(headers["X-Request-ID"])
    with sign_writes():
        for step in ([f"passing-{row.pk}" for row in rows], [*values[1:], values[0]]):
            for row, value in zip(rows, step, strict=True):
                model.objects.filter(pk=row.pk).update(**{name: value})
    REQUEST_ID.reset(token)


@pytest.mark.parametrize("size", [200, 1], ids=["one batch", "a batch for each"])
@pytest.mark.parametrize(
    ("model", "name"), [(Product, "sku"), (Product, "slug"), (Variant, "sku"), (Brand, "slug")], ids=str
)
def test_values_that_rows_swapped_come_back(
    model: Any, name: str, size: int, staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make_product(sku=f"A{number}", brand=make_brand(f"B{number}"))
    before = read_shop()
    rename_round(model, name, MINE)
    if model is not Brand:
        monkeypatch.setattr(undo_jobs, "BATCH", {"sqlite": size, "postgresql": size})
    assert undo(staff, request_id="mine", dry_run=True)["conflicts"] == []
    done = undo(staff, request_id="mine")
    assert (done["conflicts"], read_shop() == before) == ([], True)
    # And once more, as an undo of the undo.
    assert undo(staff, request_id=f"undo/{done['id']}")["conflicts"] == []
    assert read_shop() != before


def test_a_swap_beside_a_value_that_is_taken_comes_back_alone(staff: APIClient) -> None:
    for number in range(4):
        make_product(sku=f"A{number}")
    token = REQUEST_ID.set("mine")
    with sign_writes():
        for old, new in (("A0", "x"), ("A1", "A0"), ("x", "A1"), ("A2", "B2")):
            Product.objects.filter(sku=old).update(sku=new)
        REQUEST_ID.set("other")
        Product.objects.filter(sku="A3").update(sku="A2")
    REQUEST_ID.reset(token)
    [conflict] = undo(staff, request_id="mine")["conflicts"]
    assert (conflict["reason"], conflict["columns"]) == ("taken", ["sku"])
    assert list(Product.objects.order_by("pk").values_list("sku", flat=True)) == ["A0", "A1", "B2", "A2"]


def test_an_order_isnt_undone_and_doesnt_keep_a_product(staff: APIClient) -> None:
    product = make_product(sku="A", stock=5)
    assert staff.post("/api/v1/orders/", {"lines": [{"sku": "A", "quantity": 2}]}, headers=MINE).status_code == 201
    assert undo(staff, request_id="mine")["report"] == {}
    assert (Order.objects.count(), Stock.objects.get().reserved) == (1, 2)
    staff.delete(f"/api/v1/products/{product.pk}/", headers={"X-Request-ID": "gone"})
    undone = undo(staff, request_id="gone")
    again = undo(staff, request_id=f"undo/{undone['id']}")
    assert (undone["conflicts"], again["conflicts"], Order.objects.count()) == ([], [], 1)


def test_reserved_pieces_stay_with_their_orders(staff: APIClient) -> None:
    make_product(sku="A", stock=5)
    staff.patch("/api/v1/stock/bulk/", [{"sku": "A", "on_hand": 8}], format="json", headers=MINE)
    Stock.objects.update(reserved=2)
    undo(staff, request_id="mine")
    assert Stock.objects.values_list("on_hand", "reserved").get() == (5, 2)


# -- how it runs -------------------------------------------------------------------------------------------------


def test_a_large_undo_is_a_job_with_progress(staff: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "MOST_AT_ONCE", 2)
    skus = [make_product(price="4.00").sku for _ in range(4)]
    price(staff, MINE, **dict.fromkeys(skus, "5.00"))
    job = undo(staff, request_id="mine")
    assert (job["status"], job["rows_total"], job["rows_done"]) == ("queued", 8, 0)
    advance_undo.call(job["id"])
    done = staff.get(f"{URL}{job['id']}/").json()
    assert (done["status"], done["rows_done"], done["report"]) == ("ready", 8, {"variant": {"updated": 4}})
    assert {str(price) for price in Variant.objects.values_list("price", flat=True)} == {"4.00"}


@pytest.mark.parametrize("number", [2, 20])
def test_its_statements_dont_grow_with_the_rows(number: int, staff: APIClient) -> None:
    skus = [make_product(variants=2, images=2).sku for _ in range(number)]
    price(staff, MINE, **dict.fromkeys(skus, "5.00"))
    Image.objects.count()
    with CaptureQueriesContext(connection) as queries:
        undo(staff, request_id="mine")
    assert len(queries) <= 75, len(queries)


def test_bad_wishes_are_errors_that_name_the_member(staff: APIClient) -> None:
    for body, pointer, code in (
        ({}, "", "required"),
        ({"request_id": "a", "import_id": 1}, "", "required"),
        ({"position": 3}, "/products", "required"),
        ({"request_id": "nobody"}, "/request_id", "does_not_exist"),
        ({"request": "a"}, "/request", "unknown_member"),
    ):
        answer = staff.post(URL, body, format="json")
        assert answer.status_code == 400, body
        assert (answer.json()["errors"][0]["pointer"], answer.json()["errors"][0]["code"]) == (pointer, code)
    assert not UndoJob.objects.exists()


def test_only_who_may_undo_undoes() -> None:
    make_product()
    assert make_caller("Export partner").post(URL, {"request_id": "x"}).status_code == 403
    assert make_caller("Catalogue editor").post(URL, {"request_id": "x"}).status_code == 400
