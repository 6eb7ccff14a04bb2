"""Tools answer what the API answers their caller, no more, in a size that a model can read."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import meta
from rest_framework.test import APIClient

from accounts.models import Order, User
from accounts.tokens import issue_token
from catalog.models import Attribute, Image, Location, Product, Stock, Variant
from config.api.tools.bounding import MOST_BYTES, bound
from config.api.tools.registry import TOOLS
from tests.config.mcp.conftest import Say
from tests.factories import make_brand, make_category, make_product, make_user

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES = ["search_products", "product_facets", "get_product", "compare_products", "check_stock", "place_order"]


@pytest.fixture
def shop(db: None) -> list[Product]:
    Attribute.objects.create(name="color", type="text")
    brand, tea = make_brand("Acme, Ltd"), make_category("Food", "Tea")
    rows = [
        make_product(
            title=f"Green Tea {number}", price=str(number), brand=brand, category=tea, attributes={"color": color}
        )
        for number, color in ((1, "red"), (2, "red"), (3, "blue"))
    ]
    make_product(title="Green Tea Draft", status="draft", category=tea)
    return rows


def read(path: str, **query: Any) -> Any:
    return APIClient().get(f"/api/v1/{path}", query).json()


@pytest.mark.django_db
def test_the_tools_are_listed_with_schemas_that_a_client_can_check(post: Say) -> None:
    listed = post("tools/list").json()["result"]["tools"]
    assert [tool["name"] for tool in listed] == list(TOOLS) == NAMES
    for tool in listed:
        meta.validate({"$schema": DIALECT} | tool["inputSchema"])
        assert tool["inputSchema"]["additionalProperties"] is False
        assert all("description" in each or "enum" in each for each in tool["inputSchema"]["properties"].values())
        assert tool["annotations"]["readOnlyHint"] == (tool["name"] != "place_order")
    assert len(orjson.dumps(listed)) < 16_000


def test_a_search_finds_what_the_list_has(use: Say, shop: list[Product]) -> None:
    failed, found = use("search_products", query="green tea", ordering="-price", limit=2)
    assert not failed
    fields = "id,sku,slug,title,brand,category,price,compare_at_price,currency,in_stock,rating"
    rows = read("products/", search="green tea", ordering="-price", page_size=2, fields=fields)["results"]
    assert found["products"] == rows
    assert (found["count"], found["next"]) == (3, "Call again with page 2.")
    _, rest = use("search_products", query="green tea", ordering="-price", limit=2, page=2)
    assert [row["id"] for row in rest["products"]] == [shop[0].pk]
    assert "next" not in rest


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        ({"brand": ["acme,-ltd"], "price_min": "2"}, [2, 3]),
        ({"category": ["food"], "price_max": "2.50", "in_stock": True}, [1, 2]),
        ({"attributes": {"color": "red"}}, [1, 2]),
        ({"on_sale": True}, []),
        ({"rating_min": 4.5}, []),
    ],
)
def test_each_filter_narrows(use: Say, shop: list[Product], arguments: dict[str, Any], titles: list[int]) -> None:
    failed, found = use("search_products", ordering="price", **arguments)
    assert not failed, found
    assert [row["title"] for row in found["products"]] == [f"Green Tea {number}" for number in titles]


def test_facets_are_those_of_the_api(use: Say, shop: list[Product]) -> None:
    failed, found = use("product_facets", category=["food-tea"], facets=["price", "attr.color"], size=5)
    assert not failed
    query = {"category": "food-tea", "facets": "price,attr.color", "facet_size": 5, "status": "active"}
    assert found == read("products/facets/", **query)


def test_a_product_is_read_by_each_of_its_names(use: Say, shop: list[Product]) -> None:
    product = shop[0]
    variant = Variant.objects.create(product=product, sku="A/B 1", price=Decimal(9), position=2)
    found = [
        use("get_product", **name)
        for name in ({"id": product.pk}, {"slug": product.slug}, {"sku": product.sku}, {"sku": variant.sku})
    ]
    assert [failed for failed, _ in found] == [False] * 4
    assert all(row == found[0][1] for _, row in found)
    assert [each["sku"] for each in found[0][1]["variants"]] == [product.sku, "A/B 1"]


def test_what_a_caller_may_not_see_is_not_found(use: Say, shop: list[Product]) -> None:
    for name in ({"id": Product.objects.get(status="draft").pk}, {"id": 10**17}, {"slug": "none"}, {"sku": "NONE"}):
        failed, problem = use("get_product", **name)
        assert failed
        assert (problem["status"], problem["code"]) == (404, "not_found")
        assert "search_products" in problem["hint"]


def test_a_hint_names_no_address_that_no_tool_asks(use: Say, shop: list[Product]) -> None:
    failed, problem = use("search_products", page=401, limit=25)
    assert (failed, problem["code"]) == (True, "page_too_deep")
    assert "http" not in problem["hint"]


def test_a_comparison_parts_what_is_the_same_from_what_differs(use: Say, shop: list[Product]) -> None:
    first, second, third = shop
    _, found = use("compare_products", ids=[first.pk, second.pk, 99_999_999])
    assert found["same"]["attributes.color"] == "red"
    assert found["different"]["price"] == {str(first.pk): "1.00", str(second.pk): "2.00"}
    assert found["not_found"] == [99_999_999]
    assert "attributes.color" in use("compare_products", ids=[first.pk, third.pk])[1]["different"]


def test_stock_is_what_is_free(use: Say, shop: list[Product]) -> None:
    variant = shop[0].variants.get()
    Stock.objects.filter(variant=variant).update(on_hand=7, reserved=2)
    # More locations than a page has. Nothing is sold at "attic", nor at a place that nobody declared.
    rows = [Location(code=f"a{number}") for number in range(200)]
    Location.objects.bulk_create([*rows, Location(code="attic", sellable=False), Location(code="north")])
    for place in ("attic", "north", "nowhere"):
        Stock.objects.create(variant=variant, location=place, on_hand=3)
    _, found = use("check_stock", skus=[variant.sku, "NONE"])
    assert [(row["sku"], row["free"], row["free_by_location"]) for row in found["variants"]] == [
        (variant.sku, 8, {"main": 5, "north": 3})
    ]
    assert found["not_found"] == ["NONE"]


# -- orders ------------------------------------------------------------------------------------------------------


def test_an_order_is_placed_once_however_often_it_is_repeated(use: Say, shop: list[Product], token: str) -> None:
    lines = [{"sku": shop[0].sku, "quantity": 1}]
    address = {"name": "Mia Wu", "line1": "1 High St", "city": "Bath", "postcode": "BA1 1AA", "country": "GB"}
    order = {"lines": lines, "order_key": "agent-1:order-1", "shipping_address": address, "note": "Ring twice"}
    answers = [use("place_order", token, **order) for _ in range(2)]
    assert [failed for failed, _ in answers] == [False, False]
    assert answers[0] == answers[1]
    assert [order.number for order in Order.objects.all()] == [answers[0][1]["number"]]
    assert answers[0][1]["shipping_address"]["city"] == "Bath"
    failed, problem = use("place_order", token, lines=[{**lines[0], "quantity": 2}], order_key="agent-1:order-1")
    assert (failed, problem["code"]) == (True, "idempotency_key_reused")


def test_a_refused_order_says_which_line_and_why(use: Say, shop: list[Product], token: str) -> None:
    lines = [{"sku": shop[0].sku, "quantity": 1}, {"sku": shop[1].sku, "quantity": 9}]
    failed, problem = use("place_order", token, lines=lines, order_key="agent-1:order-2")
    assert failed
    assert problem["code"] == "out_of_stock"
    assert [fault["pointer"] for fault in problem["errors"]] == ["/lines/1/quantity"]
    assert problem["hint"]
    assert not Order.objects.exists()


@pytest.mark.django_db
def test_an_order_needs_a_token_with_its_scope(use: Say, shop: list[Product], admin_user: User) -> None:
    order = {"lines": [{"sku": shop[0].sku, "quantity": 1}], "order_key": "agent-1:order-3"}
    assert use("place_order", **order)[1]["code"] == "not_authenticated"
    reader = issue_token(admin_user, "reader", None, scopes=["catalogue:read"])[1]  # type: ignore[arg-type]
    failed, problem = use("place_order", reader, **order)
    assert (failed, problem["code"], problem["status"]) == (True, "insufficient_scope", 403)
    assert "orders:write" in problem["detail"]
    assert not use("search_products", reader, query="tea")[0]
    assert not Order.objects.exists()


# -- arguments and sizes -----------------------------------------------------------------------------------------


@pytest.mark.once  # refused before any SQL
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search_products", {"prise_max": "9"}, "Did you mean price_max?"),
        ("search_products", {"limit": 26}, "26 is greater than the maximum of 25"),
        ("search_products", {"price_min": 9}, "$.price_min"),
        ("search_products", {"price_min": "1e9"}, "does not match"),
        ("search_products", {"attributes": {"colour": "red"}}, "unknown_parameter"),
        ("get_product", {}, "one of id, slug and sku"),
        ("compare_products", {"ids": [1]}, "$.ids"),
        ("place_order", {"lines": [{"sku": "A", "quantity": True}], "order_key": "abcdefgh"}, "$.lines[0].quantity"),
        ("place_order", {"lines": []}, "order_key"),
    ],
)
def test_wrong_arguments_are_named(use: Say, name: str, arguments: dict[str, Any], said: str) -> None:
    failed, problem = use(name, **arguments)
    assert failed
    assert said in str(problem)
    assert problem["hint"]


def test_a_huge_product_is_cut_and_says_where(use: Say, db: None) -> None:
    product = make_product(description="word " * 20_000, variants=120, images=0)
    Image.objects.bulk_create(Image(product=product, url=f"https://i.example/{n}.jpg", position=n) for n in range(60))
    failed, found = use("get_product", id=product.pk)
    assert not failed
    assert len(orjson.dumps(found)) <= MOST_BYTES
    left = {each["at"]: each for each in found["left_out"]}
    assert left["/description"]["of"] == 100_000
    assert len(found["description"]) == left["/description"]["shown"]
    assert found["variants_url"].endswith(f"/{product.pk}/variants/")


VALUES = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=40) | st.just("x" * 9000),
    lambda inner: st.lists(inner, max_size=90) | st.dictionaries(st.text(max_size=9), inner, max_size=90),
    max_leaves=400,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(VALUES)
def test_any_result_fits_and_a_small_one_is_left_as_it_is(value: Any) -> None:
    cut = bound(value)
    assert len(orjson.dumps(cut)) <= MOST_BYTES
    if cut != value:
        assert cut["left_out"]


@pytest.mark.django_db
def test_a_tool_that_fails_says_so_without_why(
    use: Say, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(ask: Any, given: Any) -> Any:
        raise RuntimeError("secret")

    tool = TOOLS["check_stock"]
    monkeypatch.setitem(TOOLS, "check_stock", type(tool)(**{**vars(tool), "run": fail}))
    failed, problem = use("check_stock", skus=["A"])
    assert (failed, problem["status"]) == (True, 500)
    assert "secret" not in str(problem)
    assert "The tool check_stock fails" in caplog.text


@pytest.mark.django_db
def test_a_staff_member_s_agent_sees_what_is_on_sale(use: Say, shop: list[Product]) -> None:
    editor = make_user("Catalogue editor", is_staff=True)
    token = issue_token(editor, "agent", None)[1]  # type: ignore[arg-type]
    assert use("search_products", token, query="draft")[1]["products"] == []
    # But by its id the draft is there, as in the API.
    assert not use("get_product", token, id=Product.objects.get(status="draft").pk)[0]
