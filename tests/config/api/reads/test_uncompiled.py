"""`compiled = False`: DRF's own serializers over the view's queryset give what the compiled SQL gives."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import SerializerMethodField
from rest_framework.test import APIClient

from catalog import views
from catalog.models import Attribute, Product, ProductText, Stock
from catalog.serializers import ProductRead
from catalog.views.prices import PriceHistory, ScheduledPriceViewSet
from catalog.views.products import ProductViewSet
from config.api.reads.plans import read_query
from config.api.reads.selections import find_fields, list_expandable
from config.api.rendering.renderers import write_json
from config.api.schema.checks import find_reasons, list_views
from config.api.viewsets import ShapedViewSet
from config.urls import urlpatterns as real_patterns
from tests.factories import make_brand, make_category, make_product
from tests.gates import Ask, warm

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class Shouting(ProductRead):
    """With a field that no SQL makes, and that reads two relations."""

    shout = SerializerMethodField()

    class Meta(ProductRead.Meta):
        fields = (*ProductRead.Meta.fields, "shout")

    def get_shout(self, product: Product) -> str:
        maker = product.brand.name if product.brand else "nobody"
        return (
            f"{product.title}, {maker}, {sum(len(variant.stock.all()) for variant in product.variants.all())}".upper()
        )


class Shouters(ProductViewSet):
    read_serializer = Shouting
    compiled = False


router = SimpleRouter()
router.register("shouters", Shouters, basename="shouter")
urlpatterns = [*router.urls, *real_patterns]

PRODUCTS = "/api/v1/products/"
# Stored as the database writes JSON, with blanks of its own.
JSON_COLUMNS = {"attributes", "options"}


def fill() -> Product:
    """Products with all that one may have, with nothing, and with what is hard to write."""
    full = make_product(
        sku="A-1", brand=make_brand('Ac"mé'), category=make_category("Food", "Tea"), images=23, variants=3,
        title='\\ "quoted" \u2028 👩‍👩‍👧', description="<b>é</b>\n", compare_at_price="9999999999.99", rating="4.50",
        attributes={"ü": [1, 2.5, None, {"a": "b"}]}, created_at=datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    )  # fmt: skip
    Stock.objects.create(variant=full.variants.earliest("pk"), location="zeta", on_hand=3)
    Attribute.objects.create(name="volts", type="number")
    make_product(status="draft", brand=make_brand("Zeta"), images=0)
    bare = make_product(images=0)
    ProductText.objects.filter(product=bare).delete()
    for number in range(5):
        make_product(category=make_category("Food", f"Kind {number % 2}"), created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return full


def list_addresses(full: Product) -> Iterator[str]:
    yield PRODUCTS
    yield from (f"{PRODUCTS}{key}/" for key in Product.objects.values_list("pk", flat=True))
    yield from (f"{PRODUCTS}by-slug/{full.slug}/", f"{PRODUCTS}{full.pk}/variants/", f"{PRODUCTS}{full.pk}/images/")
    yield f"{PRODUCTS}{full.pk}/images/{full.images.earliest('pk').pk}/"
    yield from ("/api/v1/variants/", "/api/v1/variants/A-1/", "/api/v1/brands/", "/api/v1/brands/zeta/")
    yield from ("/api/v1/categories/", "/api/v1/categories/food/", "/api/v1/categories/food-tea/")
    yield from ("/api/v1/attributes/", "/api/v1/attributes/volts/")
    yield from ("/api/v1/locations/", "/api/v1/locations/main/")


def list_questions(address: str) -> Iterator[str]:
    view: Any = resolve(address).func
    fields, paths = find_fields(view.cls.read_serializer), list_expandable(view.cls.read_serializer)
    yield address
    yield from (f"{address}?fields={name}" for name in fields if name not in ("images", "variants", "stock"))
    yield from (f"{address}?expand={path}" for path in paths)
    yield f"{address}?expand={','.join(paths)}"
    if view.actions["get"] == "list":
        yield from (f"{address}?page=1&page_size=3", f"{address}?page_size=3&count=exact", f"{address}?page=99")
        yield from (f"{address}?ordering={name}&page_size=3" for name in view.cls.orderings)
    if address == PRODUCTS:
        yield from (f"{address}?search=product", f"{address}?brand=zeta&expand=images&page=1", f"{address}?id=1")


def uncompile(monkeypatch: pytest.MonkeyPatch) -> None:
    for view in list_views(ShapedViewSet):
        monkeypatch.setattr(view, "compiled", False)


def read(client: APIClient, url: str, **headers: str) -> Any:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, (url, answer.content)
    return answer


@pytest.mark.slow
def test_every_list_and_detail_of_the_catalogue_gives_the_same_body(
    client: APIClient, staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = fill()
    # In any order, an index serves what strangers see; what staff see would be sorted, as far as PostgreSQL guesses.
    questions = [
        (client if "ordering" in url else staff, url)
        for address in list_addresses(full)
        for url in list_questions(address)
    ]
    questions += [(client, PRODUCTS), (client, f"{PRODUCTS}?page=1&expand=brand"), (client, f"{PRODUCTS}{full.pk}/")]
    answers = [(caller, url, read(caller, url)) for caller, url in questions]
    # What `next` leads to, too.
    answers += [
        (caller, url, read(caller, url))
        for caller, _, page in list(answers)
        if (url := page.json().get("next")) is not None
    ]
    uncompile(monkeypatch)
    for caller, url, answer in answers:
        compare(answer, read(caller, url), url)


def compare(compiled: Any, shaped: Any, url: str) -> None:
    """The values, their forms and their order; and every byte but for how a JSON column is spaced."""
    assert shaped["X-Cache"] != "hit"
    assert write_json(shaped.json()) == write_json(compiled.json()), url
    row = (compiled.json().get("results") or [compiled.json()])[0]
    if not JSON_COLUMNS & set(row) and "variants" not in url:
        assert shaped.content == compiled.content, url
        assert shaped["ETag"] == compiled["ETag"], url
    for name in ("Link", "Cache-Control", "Vary", "Content-Type"):
        assert shaped.get(name) == compiled.get(name), (url, name)


def test_each_view_of_the_catalogue_was_asked(client: APIClient) -> None:
    asked = {resolve(address).func.cls for address in list_addresses(fill())}  # type: ignore[attr-defined]  # a viewset's
    read_ones = {view for view in list_views(ShapedViewSet) if view.__module__.startswith(views.__name__)}
    # Facets and suggestions show no rows, and a history only those of the SKU that is asked for. Plans aren't public.
    of_rows = {view for view in read_ones if hasattr(view, "list") or hasattr(view, "retrieve")}
    of_rows -= {PriceHistory, ScheduledPriceViewSet}
    assert asked == {view for view in of_rows if hasattr(view, "read_serializer")}


def test_what_is_refused_is_refused_alike(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    urls = [
        f"{PRODUCTS}{tail}"
        for tail in ("?prise=1", "?cursor=x", "?fields=no", "?page=999", "999999999/", "1/?expand=x")
    ]
    refused = [client.get(url) for url in urls]
    uncompile(monkeypatch)
    for url, answer in zip(urls, refused, strict=True):
        again = client.get(url)
        assert (again.status_code, again.json()["code"]) == (answer.status_code, answer.json()["code"]), url


def list_queries(client: APIClient, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        read(client, url)
    return [query["sql"] for query in queries.captured_queries]


def find_tables(queries: list[str]) -> list[str]:
    """The first table of each."""
    return [sql.partition('FROM "catalog_')[2].partition('"')[0] for sql in queries]


@pytest.mark.parametrize("size", [1, 10, 30])
def test_a_page_costs_as_many_queries_as_it_has_lists(
    size: int, client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(size):
        make_product(brand=make_brand(), category=make_category("Food", f"Kind {number}"), images=3, variants=2)
    uncompile(monkeypatch)
    url = f"{PRODUCTS}?page_size=200"
    assert find_tables(list_queries(client, url)) == ["product"]
    # 1. the products with brand, category and its parent  2. images  3. variants  4. their stock
    expanded = list_queries(client, f"{url}&expand=brand,category,images,variants.stock")
    assert find_tables(expanded) == ["product", "image", "variant", "stock"]
    # The last page tells by itself how many there are, so no query counts.
    assert find_tables(list_queries(client, f"{url}&page=1")) == ["product"]
    detail = f"{PRODUCTS}{Product.objects.earliest('pk').pk}/?expand=images"
    assert find_tables(list_queries(client, detail)) == ["product", "image"]


def test_what_nobody_asked_for_is_not_in_the_sql(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    make_product(brand=make_brand())
    uncompile(monkeypatch)
    [sql] = list_queries(client, f"{PRODUCTS}?fields=id,title")
    assert '"price"' not in sql
    assert "catalog_brand" not in sql


def test_the_compiled_way_joins_and_prefetches_nothing(client: APIClient, staff: APIClient) -> None:
    product = make_product(brand=make_brand("Acme"))
    for url in (PRODUCTS, f"{PRODUCTS}{product.pk}/"):
        [sql] = list_queries(client, f"{url}?fields=id,sku")
        assert "JOIN" not in sql
    with CaptureQueriesContext(connection) as queries:
        staff.patch(f"{PRODUCTS}{product.pk}/?fields=id", {"title": "New"})
    assert not [sql for sql in find_tables([q["sql"] for q in queries.captured_queries]) if sql == "image"]


# -- fields that compute -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 10, 30])
def test_a_field_that_computes_reads_what_the_queryset_declares(size: int, client: APIClient) -> None:
    for number in range(size):
        make_product(title=f"t{number}", brand=make_brand("Acme"), images=2, variants=2)
    # 1. the products with what is selected  2. to 4. what is prefetched, whatever else is shown
    for query in ("", "&fields=shout", "&page=1"):
        queries = list_queries(client, f"/shouters/?page_size=200{query}")
        assert find_tables(queries) == ["product", "image", "variant", "stock"]
        assert 'JOIN "catalog_brand"' in queries[0]
    # Without it just what is shown is read.
    assert find_tables(list_queries(client, "/shouters/?page_size=200&omit=shout")) == ["product"]
    rows = read(client, "/shouters/?page_size=200&expand=images").json()["results"]
    assert {(row["shout"], len(row["images"])) for row in rows} == {
        (f"T{number}, ACME, 2", 2) for number in range(size)
    }


@pytest.mark.slow
def test_the_rest_of_such_a_view_is_as_ever(client: APIClient, staff: APIClient) -> None:
    full = fill()
    assert list(find_reasons(Shouting, compiled=False)) == []
    for url in ("", f"{full.pk}/", "?page=1&page_size=2", "?expand=brand,category,images,variants.stock"):
        plain, shouting = read(staff, f"{PRODUCTS}{url}").json(), read(staff, f"/shouters/{url}").json()
        for row, other in zip(plain.get("results", [plain]), shouting.get("results", [shouting]), strict=True):
            assert {name: other[name] for name in row} == row
    page = read(client, "/shouters/?page_size=2", Accept="text/html").content.decode()
    assert "NOBODY" in page
    assert 'rel="next"' in page
    assert client.get("/shouters/?fields=shoot").status_code == 400
    answer = staff.patch(f"/shouters/{full.pk}/", {"title": "new"})
    assert answer.json()["shout"].startswith("NEW, ")
    assert staff.get(f"/shouters/{full.pk}/")["ETag"] == answer["ETag"]
    assert staff.patch(f"/shouters/{full.pk}/", {"title": "x"}, headers={"If-Match": 'W/"0.x"'}).status_code == 412
    assert "statements" in staff.get("/shouters/?explain=1").json()


def test_an_etag_spares_the_body(client: APIClient) -> None:
    full = fill()
    for url in ("/shouters/", f"/shouters/{full.pk}/"):
        etag = read(client, url)["ETag"]
        assert client.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_the_cache_keeps_it_until_somebody_writes(ask: Ask) -> None:
    product = make_product(title="old")
    for url in ("/shouters/", f"/shouters/{product.pk}/", "/shouters/?page=1"):
        warm(ask, url)
        status, headers, body = ask(url)
        assert (status, headers["X-Cache"]) == (200, "hit")
        assert b"OLD, " in body
    Product.objects.update(title="newer")
    for url in ("/shouters/", f"/shouters/{product.pk}/"):
        _, headers, body = ask(url)
        assert headers["X-Cache"] == "miss"
        assert b"NEWER, " in body


def test_no_plan_of_it_is_kept() -> None:
    """A plan answers before Django, where there is no request for a serializer."""
    asked = ("list", AnonymousUser(), {}, "http://testserver", read_query(""))
    assert ProductViewSet.pose_question(*asked) is not None
    assert Shouters.pose_question(*asked) is None
