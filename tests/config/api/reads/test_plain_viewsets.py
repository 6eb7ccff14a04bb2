"""Our pagination classes on views that have nothing else of ours: DRF's viewset, serializer and renderers."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from pytest_django import DjangoAssertNumQueries
from rest_framework.filters import OrderingFilter
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIClient
from rest_framework.viewsets import ReadOnlyModelViewSet

from catalog.models import Product
from config.api.reads.cursors import open_signer
from config.api.reads.pagination import KeysetPagination, PageNumberPagination
from config.api.schema.checks import find_unordered
from config.urls import urlpatterns as real_patterns
from tests.catalog.test_pages import make_rows

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class PlainSerializer(ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = ("id", "sku", "title", "price", "brand", "created_at")


class ByCursor(ReadOnlyModelViewSet[Product]):
    queryset = Product.objects.order_by("-created_at")
    serializer_class = PlainSerializer
    pagination_class: Any = KeysetPagination
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)
    authentication_classes = permission_classes = throttle_classes = ()


class ByNumber(ByCursor):
    pagination_class = PageNumberPagination


class Unordered(ByCursor):
    queryset = Product.objects.all()


class InTens(KeysetPagination):
    page_size = 10
    max_page_size = 20


class Ordered(ByCursor):
    filter_backends = (OrderingFilter,)
    ordering_fields = ("price", "rating", "compare_at_price", "brand")
    pagination_class = InTens


router = SimpleRouter()
for view in (ByCursor, ByNumber, Unordered, Ordered):
    router.register(view.__name__.lower(), view, basename=view.__name__.lower())
urlpatterns = [*router.urls, *real_patterns]

OURS = "/api/v1/products/"


def read(client: APIClient, url: str, **headers: str) -> Any:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, (url, answer.content)
    return answer


def walk(client: APIClient, url: str | None) -> list[dict[str, Any]]:
    pages = []
    while url:
        pages.append(read(client, url).json())
        url = pages[-1]["next"]
    return pages


def ids(*pages: dict[str, Any]) -> list[int]:
    return [row["id"] for page in pages for row in page["results"]]


@pytest.mark.parametrize("path", ["/bycursor/", "/bynumber/", "/unordered/", "/ordered/?ordering=price"])
@pytest.mark.parametrize("start", ["", "page=1&", "count=exact&"])
def test_a_walk_there_and_back_sees_every_row_once(path: str, start: str, client: APIClient) -> None:
    # Ties in all but the key.
    rows = make_rows(13)
    pages = walk(client, f"{path}{'&' if '?' in path else '?'}{start}page_size=5")
    assert sorted(ids(*pages)) == [row.pk for row in rows]
    page = pages.pop()
    while page["previous"]:
        page = read(client, page["previous"]).json()
        assert ids(page) == ids(pages.pop())
    assert not pages


@pytest.mark.parametrize(
    ("path", "query"), [("/bycursor/", ""), ("/bynumber/", "&page=1"), ("/bynumber/", "&page=1&count=exact")]
)
def test_its_envelope_and_headers_are_those_of_our_own_lists(path: str, query: str, client: APIClient) -> None:
    make_rows(5)
    plain, ours = read(client, f"{path}?page_size=2{query}"), read(client, f"{OURS}?page_size=2{query}")
    assert list(plain.json()) == list(ours.json())
    for name in ("count", "count_relation", "pages", "page", "page_size", "previous"):
        assert plain.json().get(name) == ours.json().get(name)
    assert plain["Link"] == ours["Link"].replace(OURS, path).replace(cursor_of(ours), cursor_of(plain))
    assert cursor_of(plain).partition(".")[0] != ""


def cursor_of(answer: Any) -> str:
    return str(answer.json()["next_cursor"])


def test_a_cursor_has_the_same_values_and_is_bound_to_its_list(client: APIClient) -> None:
    make_rows(5)
    plain, ours = (cursor_of(read(client, f"{url}?page_size=2")) for url in ("/bycursor/", OURS))
    plain_parts, our_parts = (open_signer().unsign_object(cursor) for cursor in (plain, ours))
    assert plain_parts[1:] == our_parts[1:]
    for url in (f"/bycursor/?cursor={ours}", f"{OURS}?cursor={plain}", f"/bynumber/?cursor={plain}"):
        answer = client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert client.get(f"/bycursor/?cursor={plain}&brand=3").status_code == 400
    assert client.get(f"/bycursor/?cursor={plain[:-1]}").json()["code"] == "invalid_cursor"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("page=0", "invalid_parameter"),
        ("page_size=201", "invalid_parameter"),
        ("count=all", "invalid_parameter"),
        ("page=1&cursor=x", "invalid_parameter"),
        ("cursor=x", "invalid_cursor"),
        ("page=201", "page_too_deep"),
    ],
)
def test_what_our_lists_refuse_it_refuses(query: str, code: str, client: APIClient) -> None:
    for path in ("/bycursor/", "/bynumber/"):
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_past_the_depth_its_hint_leads_on(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 4)
    rows = make_rows(7)
    hint = client.get("/bynumber/?page_size=2&page=3").json()["hint"].removeprefix("Go on with ")
    assert ids(*walk(client, hint)) == [row.pk for row in rows[::-1]][4:]


@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_page_costs_one_query_and_a_count_one_more(
    size: int, client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_rows(size + 1)
    for path, number in (("/bycursor/", 1), ("/bynumber/", 2)):
        with django_assert_num_queries(number):
            assert len(read(client, f"{path}?page_size={size}").json()["results"]) == size


def test_its_sizes_are_its_own(client: APIClient) -> None:
    make_rows(25)
    assert len(read(client, "/ordered/").json()["results"]) == 10
    assert client.get("/ordered/?page_size=21").status_code == 400


def test_an_order_in_which_no_cursor_can_stand_is_refused_and_has_page_numbers(client: APIClient) -> None:
    make_rows(3)
    answer = client.get("/ordered/?ordering=compare_at_price")
    assert answer.status_code == 400
    assert "Results ordered by compare_at_price (may be null) have only page numbers." in answer.json()["detail"]
    assert len(read(client, "/ordered/?ordering=compare_at_price&page=1").json()["results"]) == 3
    assert client.get("/ordered/?ordering=price,-rating").status_code == 400


def test_the_check_names_a_view_whose_own_order_has_no_cursors() -> None:
    class ByPrice(ByCursor):
        queryset = Product.objects.order_by("-compare_at_price")

    [reason] = find_unordered(ByPrice)
    assert reason == "ByPrice has cursors, but its rows are ordered by compare_at_price (may be null)"
    assert [*find_unordered(ByCursor), *find_unordered(Unordered)] == []


@pytest.mark.parametrize("path", ["/bycursor/", "/bynumber/"])
def test_a_browser_gets_links_to_the_pages_around(path: str, client: APIClient) -> None:
    make_rows(7)
    first = read(client, f"{path}?page_size=3", Accept="text/html").content.decode()
    assert 'rel="next"' in first
    following = read(client, f"{path}?page_size=3").json()["next"]
    second = read(client, following, Accept="text/html").content.decode()
    assert 'rel="next"' in second
    assert 'rel="prev"' in second
    assert ("Page 2 of 3, 7 in all" in second) == (path == "/bynumber/")
    whole = read(client, "/bycursor/?page_size=200", Accept="text/html").content.decode()
    assert 'class="pages"' not in whole


def test_the_document_has_its_parameters_and_both_envelopes() -> None:
    document: Any = SchemaGenerator(patterns=router.urls).get_schema(request=None, public=True)
    operation = document["paths"]["/bycursor/"]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["page", "page_size", "cursor", "count"]
    sizes = {each["name"]: each for each in document["paths"]["/ordered/"]["get"]["parameters"]}["page_size"]["schema"]
    assert (sizes["default"], sizes["maximum"]) == (10, 20)
    content = operation["responses"]["200"]["content"]["application/json"]["schema"]
    page = document["components"]["schemas"][content["$ref"].rpartition("/")[2]]
    assert {"next", "previous", "next_cursor", "page", "pages"} <= page["properties"].keys()
    assert page["properties"]["results"]["items"] == {"$ref": "#/components/schemas/Plain"}
