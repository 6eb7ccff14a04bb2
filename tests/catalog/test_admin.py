"""The admin of the catalogue: what a page costs, what it refuses, what it leaves to the database."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from accounts.orders import place_order
from catalog.models import Brand, Category, Product, ProductText, Stock, Variant
from catalog.staff import products as pages
from catalog.staff.slugged import SluggedAdmin
from config.api.admin import counts, deletion
from config.api.admin.lists import BoundedAdmin
from tests.factories import make_brand, make_category, make_product

# What a page says, and what a form refuses before it writes, is asked on SQLite only: `once`.
pytestmark = pytest.mark.django_db

PRODUCTS = "/admin/catalog/product/"
MODELS = [
    model
    for label in ("catalog", "accounts", "django_tasks_database")
    for model in apps.get_app_config(label).get_models()
    # On the page of its import; on those of images; written by triggers alone, and shown elsewhere.
    if model.__name__
    not in ("ImportRefusal", "RefusedRow", "Picture", "Tally", "TallyChange", "ProductPrice", "VariantPrice")
]


@pytest.fixture
def office(admin_user: User) -> Client:
    """A superuser's browser."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


def list_path(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@contextmanager
def refuse_counts() -> Iterator[CaptureQueriesContext]:
    """Fails at a COUNT(*) that reads on without end; rows of one product and rows named by key have theirs."""
    with CaptureQueriesContext(connection) as queries:
        yield queries
    for query in queries.captured_queries:
        sql = query["sql"]
        bounded = "LIMIT" in sql or re.search(r'WHERE "\w+"."(product|variant|order)_id" (=|IN) |"id" IN [(]', sql)
        assert "COUNT(" not in sql or bounded, sql


def read_text(answer: Any) -> str:
    """The page with its white space evened."""
    return " ".join(answer.content.decode().split())


def read_form(answer: Any) -> dict[str, Any]:
    """What a browser would post back from a change form."""
    context = answer.context
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    values = {}
    for form in forms:
        for field in form:
            value = field.value()
            values[field.html_name] = "" if value is None else value
            if field.field.show_hidden_initial:
                shown = re.search(r'<input type="hidden" name="initial-[^>]*>', str(field))
                assert shown, f"{field.html_name} doesn't say what it showed"
                value = re.search(r'value="([^"]*)"', shown[0])
                values[field.html_initial_name] = html.unescape(value[1]) if value else ""
    return values


# -- what every page shares -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.once
def test_times_are_written_in_one_way(office: Client, admin_user: User) -> None:
    product = make_product(sku="TEA", variants=1)
    order = place_order(admin_user, [{"sku": "TEA", "quantity": 1}])
    rows = (f"{PRODUCTS}{product.pk}/change/", f"/admin/accounts/order/{order.pk}/change/")
    for path in (PRODUCTS, "/admin/accounts/order/", "/admin/catalog/variant/", "/admin/accounts/user/", *rows):
        page = read_text(office.get(path))
        assert f"{order.placed_at:%Y-%m-%d %H:}" in page, path
        assert not re.search(r"\b[ap]\.m\.|midnight|noon", page), path


# -- what a page costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_table_is_in_the_admin_and_searched_without_a_count(model: Any, office: Client) -> None:
    make_product(brand=make_brand(), category=make_category("Food", "Tea"))
    assert admin.site.is_registered(model), f"{model.__name__} has no admin"
    page = admin.site.get_model_admin(model)
    assert page.search_fields
    assert page.list_filter or isinstance(page, SluggedAdmin) or model is apps.get_model("catalog", "Attribute")
    with refuse_counts():
        for query in ("", "?q=tea+bag", "?q=---", "?p=2"):
            assert office.get(list_path(model) + query).status_code in (200, 302)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 50])
def test_a_list_costs_six_queries(size: int, office: Client) -> None:
    for _ in range(size):
        make_product(brand=make_brand(), category=make_category("Food"))
    # 1. the session  2. the user  3. the bounded count  4. the page with its brands and categories
    # 5. the page's variants and stock  6. the user's saved views
    with refuse_counts() as queries:
        answer = office.get(PRODUCTS)
    assert len(queries) == 6, [query["sql"] for query in queries]
    assert f"{size} product" in read_text(answer)


def test_a_count_stops_at_its_bound_and_says_so(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "BOUND", 3)
    for _ in range(5):
        make_product()
    answer = office.get(PRODUCTS)
    assert "3+ products" in read_text(answer)
    assert counts.OrMore(10_000) == 10_000
    assert str(counts.OrMore(10_000)) == "10,000+"


@pytest.mark.once
@pytest.mark.parametrize(("narrowed", "offered"), [("", False), ("?q=cup", True), ("?status__exact=active", True)])
def test_all_are_offered_where_some_are_left_out(narrowed: str, offered: bool, office: Client) -> None:
    make_product(title="Cup")
    make_product(title="Lamp", status="draft")
    assert (">Show all<" in read_text(office.get(f"{PRODUCTS}{narrowed}"))) is offered


def make_few_of_each() -> None:
    """Make 100 products of 20 brands, one of them acme, of which every tenth is active."""
    brands = [make_brand(name) for name in ("Acme", *(f"Brand {number}" for number in range(19)))]
    Product.objects.bulk_create(
        Product(
            sku=f"FEW-{number}",
            title=f"Few {number}",
            slug=f"few-{number}",
            price="1.00",
            brand=brands[number % 20],
            status="draft" if number % 10 else "active",
        )
        for number in range(100)
    )


@pytest.mark.parametrize(
    ("order", "index"),
    [
        ("", "product_by_created"),
        ("?o=9", "product_by_created"),
        ("?o=-10", "product_by_updated"),
        ("?o=3&status__exact=active", "product_by_title_key"),
        ("?o=-5&status__exact=active", "product_by_price"),
        ("?o=-8&status__exact=active", "product_by_rating"),
        ("?status__exact=active", "product_by_status"),
        ("?brand=acme", "product_by_brand"),
    ],
)
def test_a_list_is_read_in_the_order_of_an_index(order: str, index: str, office: Client) -> None:
    answer = office.get(PRODUCTS + order)
    rows = answer.context["cl"].queryset[:50]
    if connection.vendor == "postgresql":
        make_few_of_each()
        with connection.cursor() as cursor:
            # What another test's rows told the planner is told anew, and a small table is read by an index too.
            cursor.execute(
                "ANALYZE catalog_product;"
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"
            )
        assert re.search(rf"{index}\b", rows.explain())
    elif "active-" not in f"{order}-" or "o=" not in order:  # without statistics SQLite takes the first index it finds
        plan = rows.explain()
        assert re.search(rf"{index}\b", plan)
        assert "TEMP B-TREE" not in plan, plan
    columns = [str(column) for column in rows.query.order_by]
    assert len({column.startswith("-") for column in columns}) == 1, columns


@pytest.mark.slow
@pytest.mark.once
def test_no_form_lists_a_big_table(office: Client) -> None:
    Brand.objects.bulk_create(Brand(name=f"Listed {number}", slug=f"listed-{number}") for number in range(300))
    product = make_product(category=make_category("Food"), variants=2)
    variant = Variant.objects.filter(product=product)[0]
    with refuse_counts():
        for path in (
            f"{PRODUCTS}add/",
            f"{PRODUCTS}{product.pk}/change/",
            f"/admin/catalog/variant/{variant.pk}/change/",
            "/admin/catalog/stock/add/",
            "/admin/catalog/category/add/",
        ):
            page = office.get(path).content.decode()
            assert "Listed" not in page
            assert product.title not in re.sub(r"<title>.*?</title>", "", page, flags=re.S) or "change" in path


@pytest.mark.parametrize("size", [1, 15])
def test_a_form_costs_the_same_for_every_product(size: int, office: Client) -> None:
    product = make_product(brand=make_brand(), category=make_category("Food"), variants=size, images=size)
    # 1. session  2. user  3. savepoint, 4. product, 5.-6. counts of its variants and images, 7. its text,
    # 8. variants with stock, 9. images, 10.-11. names of brand and category, 12. the savepoint's end
    with refuse_counts() as queries:
        office.get(f"{PRODUCTS}{product.pk}/change/")
    assert len(queries) <= 13, [query["sql"] for query in queries]


def test_autocomplete_counts_to_its_bound(office: Client) -> None:
    make_brand("Émile Co")
    make_brand("Other")
    query = {"app_label": "catalog", "model_name": "product", "field_name": "brand", "term": "Mile & c"}
    with refuse_counts():
        found = office.get("/admin/autocomplete/", query).json()
    assert [row["text"] for row in found["results"]] == ["Émile Co"]


# -- search and filters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["LMP-1", "lamp brass", "LMP-1-2", "lum brass"])
def test_products_are_found_by_sku_by_variant_and_by_words(term: str, office: Client) -> None:
    make_product(sku="LMP-1", title="Brass lamp", brand=make_brand("Lumen"), variants=2)
    make_product(sku="LMP-10", title="Oak chair")
    assert [row.sku for row in office.get(PRODUCTS, {"q": term}).context["cl"].result_list] == ["LMP-1"]


def test_products_are_narrowed_by_brand_subtree_and_status(office: Client) -> None:
    tea = make_product(brand=make_brand("Acme"), category=make_category("Food", "Tea"))
    make_product(brand=make_brand("Other"), category=make_category("Garden"), status="draft")
    for query in ({"brand": "acme"}, {"category": "food"}, {"status__exact": "active"}):
        assert list(office.get(PRODUCTS, query).context["cl"].result_list) == [tea]


@pytest.mark.slow
def test_rows_of_a_product_are_found_by_its_sku(office: Client) -> None:
    make_product(sku="A-1", images=2)
    make_product(sku="A-2")
    for path, number in (("image", 2), ("variant", 1), ("stock", 1), ("producttext", 1)):
        answer = office.get(f"/admin/catalog/{path}/", {"of_product": "A-1"})
        assert answer.context["cl"].result_count == number
    assert office.get("/admin/catalog/stock/", {"free": "none"}).context["cl"].result_count == 0


# -- writes ------------------------------------------------------------------------------------------------------


def test_a_products_history_is_the_change_logs(office: Client) -> None:
    product = make_product(sku="A-1")
    make_product(sku="B-1")
    page = read_text(office.get(f"{PRODUCTS}{product.pk}/history/", follow=True))
    assert "A-1" in page
    assert "B-1" not in page


def test_a_product_is_added_with_its_variant_and_is_found_by_words(office: Client) -> None:
    values = read_form(office.get(f"{PRODUCTS}add/")) | {"title": "Clay pot", "sku": "POT-1", "slug": "clay-pot"}
    values |= {"variants-0-sku": "POT-1", "variants-0-price": "9.50", "images-TOTAL_FORMS": "0"}
    answer = office.post(f"{PRODUCTS}add/", values)
    assert answer.status_code == 302, answer.context["errors"]
    product = Product.objects.get(sku="POT-1")
    assert product.price == Decimal("9.50")
    assert ProductText.objects.filter(product=product).exists()
    assert list(Product.objects.matching("clay")) == [product]


@pytest.mark.slow
def test_a_form_writes_only_what_was_changed(office: Client) -> None:
    product = make_product(stock=1)
    path = f"{PRODUCTS}{product.pk}/change/"
    values = read_form(office.get(path)) | {"title": "Renamed"}
    with CaptureQueriesContext(connection) as queries:
        office.post(path, values)
    written = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "catalog_product"')]
    assert len(written) == 1
    assert "title" in written[0]
    assert "in_stock" not in written[0]


def test_a_sale_behind_an_open_page_stays(office: Client) -> None:
    make_product(stock=10)
    stock = Stock.objects.get()
    path = f"/admin/catalog/variant/{stock.variant_id}/change/"
    values = read_form(office.get(path)) | {"barcode": "4006381333931"}
    Stock.objects.update(on_hand=8, reserved=3)
    assert office.post(path, values).status_code == 302
    stock.refresh_from_db()
    assert (stock.on_hand, stock.reserved) == (8, 3)
    assert Variant.objects.get().barcode == "4006381333931"


def test_a_page_left_open_overwrites_nobodys_later_change(office: Client) -> None:
    product = make_product(title="Old", variants=2, brand=make_brand("Old"), attributes={"a": 1})
    path = f"{PRODUCTS}{product.pk}/change/"
    values = read_form(office.get(path)) | {"rating": "4.5", "variants-0-barcode": "4006381333931"}
    first = Variant.objects.filter(product=product)[0]
    Product.objects.update(title="New", brand=make_brand("New"), status="draft", attributes={"a": 2})
    Variant.objects.filter(pk=first.pk).update(price="3.00", options={"Size": "M"})
    assert office.post(path, values).status_code == 302
    product.refresh_from_db()
    first.refresh_from_db()
    assert (product.title, product.brand, product.status) == ("New", make_brand("New"), "draft")
    assert (product.attributes, product.rating, product.price) == ({"a": 2}, Decimal("4.5"), Decimal("3.00"))
    assert (first.barcode, first.price, first.options) == ("4006381333931", Decimal("3.00"), {"Size": "M"})


@pytest.mark.slow
@pytest.mark.once
def test_the_second_of_two_people_is_shown_what_the_first_changed(office: Client) -> None:
    product = make_product(title="Old", brand=make_brand("Old"), variants=1)
    path = f"{PRODUCTS}{product.pk}/change/"
    values = read_form(office.get(path)) | {"title": "Mine", "rating": "4.0", "variants-0-price": "7.00"}
    anna = Client()
    anna.force_login(User.objects.create_superuser("anna@example.com", "x"))
    hers = {"title": "Hers", "brand": make_brand("New").pk, "variants-0-price": "8.00"}
    assert anna.post(path, read_form(anna.get(path)) | hers).status_code == 302
    answer = office.post(path, values)
    page = read_text(answer)
    assert "anna@example.com changed this to “Hers”" in page
    assert "anna@example.com changed this to “8.00”" in page
    assert page.count("changed this to") == 2
    product.refresh_from_db()
    assert (product.title, product.rating) == ("Hers", 0), "nothing is written before the second one has chosen"
    assert office.post(path, read_form(answer)).status_code == 302
    product.refresh_from_db()
    assert (product.title, product.brand, product.rating) == ("Mine", make_brand("New"), 4)
    assert product.price == 7


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [("attributes", "[1]", "JSON object"), ("currency", "u$", "ISO 4217"), ("rating", "7", "less than or equal to 5")],
)
def test_a_bad_value_is_refused_by_its_field(field: str, value: str, sentence: str, office: Client) -> None:
    path = f"{PRODUCTS}{make_product().pk}/change/"
    answer = office.post(path, read_form(office.get(path)) | {field: value})
    assert answer.status_code == 200
    assert sentence in str(answer.context["adminform"].form.errors[field])


@pytest.mark.once
def test_empty_attributes_are_an_empty_object(office: Client) -> None:
    product = make_product(attributes={"material": "oak"})
    path = f"{PRODUCTS}{product.pk}/change/"
    assert office.post(path, read_form(office.get(path)) | {"attributes": ""}).status_code == 302
    product.refresh_from_db()
    assert product.attributes == {}


@pytest.mark.once
def test_an_empty_rating_says_unrated(office: Client) -> None:
    product = make_product(rating="4.5")
    path = f"{PRODUCTS}{product.pk}/change/"
    page = office.get(path)
    assert not page.context["adminform"].form.fields["rating"].required
    assert "0 means unrated" in read_text(page)
    assert office.post(path, read_form(page) | {"rating": ""}).status_code == 302
    product.refresh_from_db()
    assert product.rating == 0


def test_a_category_gets_its_slug_from_its_path_and_never_stands_below_itself(office: Client) -> None:
    food, tea = make_category("Food"), make_category("Food", "Tea")
    office.post("/admin/catalog/category/add/", {"name": "Green", "parent": tea.pk, "slug": ""})
    assert Category.objects.get(name="Green").slug == "food-tea-green"
    answer = office.post(f"/admin/catalog/category/{food.pk}/change/", {"name": "Food", "parent": tea.pk, "slug": "x"})
    assert "below itself" in answer.content.decode()


# -- actions -----------------------------------------------------------------------------------------------------


def run_action(office: Client, model: Any, action: str, rows: list[Any], **more: Any) -> Any:
    values = {"action": action, "_selected_action": [str(row.pk) for row in rows], "index": "0", "select_across": "0"}
    return office.post(list_path(model), values | more, follow=True)


@pytest.mark.once
def test_before_many_products_are_published_a_page_says_how_many_and_which(office: Client) -> None:
    products = [make_product(title=f"Draft {number}", status="draft") for number in range(22)]
    make_product(title="Shown already")
    answer = run_action(office, Product, "publish", products[:1], select_across="1")
    page = read_text(answer)
    assert "<strong>22 products</strong> will be set to active" in page
    assert page.count("<li>Draft ") == 20
    assert "and more" in page
    assert "Shown already" not in page
    assert Product.objects.filter(status="draft").count() == 22
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    office.post(list_path(Product), fields | {"confirmed": "1"})
    assert not Product.objects.filter(status="draft").exists()


def test_products_are_published_and_archived_in_bulk(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "STATUS_CHUNK", 2)
    products = [make_product(status="draft") for _ in range(5)]
    answer = run_action(office, Product, "publish", products[:3], confirmed="1")
    assert "3 products set to active." in answer.content.decode()
    answer = run_action(office, Product, "archive", products[:1], select_across="1", confirmed="1")
    assert "5 products set to archived." in answer.content.decode()
    assert not Product.objects.exclude(status="archived").exists()


def test_select_all_takes_only_what_the_filter_shows(office: Client) -> None:
    ours, theirs = make_product(brand=make_brand("Ours")), make_product(brand=make_brand("Theirs"))
    values = {
        "action": "archive",
        "_selected_action": [str(ours.pk)],
        "index": "0",
        "select_across": "1",
        "confirmed": "1",
    }
    office.post(f"{PRODUCTS}?brand=ours", values)
    ours.refresh_from_db()
    theirs.refresh_from_db()
    assert (ours.status, theirs.status) == ("archived", "active")


def test_an_action_that_takes_too_long_says_that_it_goes_on(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "STATUS_CHUNK", 1)
    monkeypatch.setattr(pages, "STATUS_SECONDS", -1.0)
    products = [make_product() for _ in range(2)]
    assert "run the action again" in run_action(office, Product, "archive", products, confirmed="1").content.decode()
    assert Product.objects.filter(status="archived").count() == 1


def test_products_are_deleted_in_bulk_without_reading_what_goes_with_them(office: Client) -> None:
    products = [make_product(variants=3, images=2) for _ in range(2)]
    with refuse_counts() as queries:
        answer = run_action(office, Product, "delete_selected", products)
    page = read_text(answer)
    assert "Variants: 6" in page
    assert "Images: 4" in page
    assert not any(query["sql"].startswith('SELECT "catalog_variant"."id"') for query in queries)
    run_action(office, Product, "delete_selected", products, post="yes")
    assert not Product.objects.exists()
    assert not Stock.objects.exists()


def test_a_bulk_deletion_has_its_limit(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "DELETE_MOST", 2)
    products = [make_product() for _ in range(3)]
    answer = run_action(office, Product, "delete_selected", products, post="yes")
    assert "At most 2 rows" in answer.content.decode()
    assert Product.objects.count() == 3


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_used_brand_or_category_is_not_deleted_and_says_by_whom(office: Client) -> None:
    product = make_product(brand=make_brand(), category=make_category("Food", "Tea"))
    food = product.category.parent
    for row, sentence in (
        (product.brand, "1 product uses it."),
        (product.category, "1 product uses it."),
        (food, "1 category uses it."),
    ):
        path = reverse(f"admin:catalog_{row._meta.model_name}_delete", args=(row.pk,))
        for answer in (office.get(path), office.post(path, {"post": "yes"})):
            assert answer.status_code == 200
            assert sentence in answer.content.decode()
        assert sentence in run_action(office, type(row), "delete_selected", [row], post="yes").content.decode()
    assert Brand.objects.exists()
    assert Category.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_brand_that_is_used_from_now_on_is_refused_by_the_database(
    office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = make_product(brand=make_brand()).brand
    monkeypatch.setattr(BoundedAdmin, "find_hindrances", lambda self, request, rows: iter(()))
    path = f"/admin/catalog/brand/{brand.pk}/delete/"
    answer = office.post(path, {"post": "yes"}, follow=True)
    assert "Nothing was deleted" in answer.content.decode()
    answer = run_action(office, Brand, "delete_selected", [brand], post="yes")
    assert "Nothing was deleted" in answer.content.decode()
    assert Brand.objects.exists()


@pytest.mark.slow
@pytest.mark.once
def test_the_last_variant_stays(office: Client) -> None:
    product = make_product(variants=2)
    path = f"{PRODUCTS}{product.pk}/change/"
    values = read_form(office.get(path))
    answer = office.post(path, values | {"variants-0-DELETE": "on", "variants-1-DELETE": "on"})
    assert "A product has at least one variant" in answer.content.decode()
    assert office.post(path, values | {"variants-0-DELETE": "on"}).status_code == 302
    last = Variant.objects.get()
    sentence = "1 product would be left without a variant"
    assert sentence in office.post(f"/admin/catalog/variant/{last.pk}/delete/", {"post": "yes"}).content.decode()
    assert sentence in run_action(office, Variant, "delete_selected", [last], post="yes").content.decode()
    assert Variant.objects.exists()


@pytest.mark.once
def test_a_product_without_a_variant_is_not_added(office: Client) -> None:
    values = read_form(office.get(f"{PRODUCTS}add/")) | {"title": "Pot", "sku": "P", "slug": "p"}
    values |= {"variants-TOTAL_FORMS": "0", "images-TOTAL_FORMS": "0"}
    assert "at least one variant" in office.post(f"{PRODUCTS}add/", values).content.decode()
    assert not Product.objects.exists()


@pytest.mark.once
@pytest.mark.slow
def test_a_product_of_two_hundred_variants_can_be_saved(office: Client) -> None:
    # Six fields each, twice, would pass Django's limit of 1,000; they come twenty a page.
    product = make_product(variants=200)
    path = f"{PRODUCTS}{product.pk}/change/"
    values = read_form(office.get(path)) | {"title": "Wide"}
    assert len(values) < 500
    assert office.post(path, values).status_code == 302
    product.refresh_from_db()
    assert product.title == "Wide"
    assert Variant.objects.count() == 200


@pytest.mark.once
def test_a_user_with_only_the_view_permission_sees_no_form(client: Any) -> None:
    clerk = User.objects.create_user("clerk@example.com", "x", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    browser = Client()
    browser.force_login(clerk)
    product = make_product()
    assert browser.get(f"{PRODUCTS}{product.pk}/change/").status_code == 200
    assert browser.post(f"{PRODUCTS}{product.pk}/change/", {}).status_code == 403
    assert browser.get(f"{PRODUCTS}add/").status_code == 403
    assert "set_status" not in browser.get(PRODUCTS).content.decode()


# -- the policy --------------------------------------------------------------------------------------------------


@pytest.mark.once
def test_the_looser_policy_holds_in_the_admin_alone(office: Client) -> None:
    for path in ("/admin/", "/admin/login/", PRODUCTS, "/admin/search/?s=bra", "/admin/nothing/"):
        policy = office.get(path)["Content-Security-Policy"]
        assert "'unsafe-eval'" in policy or path == "/admin/nothing/"
    for path in ("/livez", "/nothing"):
        assert office.get(path)["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    for path in ("/", "/api/v1/"):
        policy = office.get(path, headers={"Accept": "text/html"})["Content-Security-Policy"]
        assert "unsafe-eval" not in policy
        assert "script-src 'self'" in policy
        assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


@pytest.mark.parametrize("redis", ["", "redis://localhost:6379/0"])
def test_background_work_is_listed_wherever_it_waits(redis: str, office: Client, settings: Any) -> None:
    settings.REDIS_URL = redis
    page = read_text(office.get("/admin/"))
    assert "Background work" in page
    assert "Tasks Database Backend" not in page
    assert "Django_Rq" not in page


@pytest.mark.once
def test_the_palette_finds_tables(office: Client) -> None:
    page = office.get("/admin/search/", {"s": "bra"}).content.decode()
    assert "/admin/catalog/brand/" in page
    assert office.get("/admin/search/").status_code == 200


@pytest.mark.once
def test_pictures_are_loaded_when_they_come_into_view(office: Client) -> None:
    make_product(images=1)
    page = office.get(PRODUCTS).content.decode()
    assert re.search(r'<img src="https://images\.example/[^"]+"[^>]+loading="lazy"', page)
