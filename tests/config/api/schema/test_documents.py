"""The OpenAPI document holds every route, every parameter and real answers; its pages need no other host."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drf_spectacular
import pytest
from django.conf import settings
from django.contrib.admindocs.views import simplify_regex
from django.core.management import call_command
from django.test import override_settings
from django.urls import URLPattern, get_resolver
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from jsonschema_rs import Draft202012Validator
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from accounts.orders import place_order
from catalog.models import Attribute, Location, Variant
from config.api.reads.selections import list_expandable
from config.api.rendering.examples import EXAMPLES, read_examples
from config.api.schema import documents
from config.api.schema.components import list_codes
from config.api.viewsets import ShapedViewSet
from exports.models import ExportJob
from tests.factories import make_brand, make_category, make_product
from tests.test_documentation import find_codes

URL = "/api/v1/schema/"

# Pages for people, which no program calls.
PAGES = {"docs", "redoc", "login", "logout"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return documents.build_document()


# -- what is in it -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_is_valid_and_nothing_in_it_is_guessed(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    call_command("spectacular", "--fail-on-warn", "--format", "openapi-json", file=str(file))
    # The command's own --validate has the same schema, and takes 3 s. To import its package alone takes 1.5.
    schema = Path(drf_spectacular.__file__).parent / "validation" / "openapi_3_1_schema.json"
    Draft202012Validator(json.loads(schema.read_text())).validate(json.loads(file.read_text()))


def list_routes() -> Iterator[tuple[str, str]]:
    """`("/api/v1/brands/", "get")` and so on, from the URL conf itself."""
    for route, pattern in walk_patterns(get_resolver().url_patterns, ""):
        if route.startswith("api/v1/") and pattern.name not in PAGES:
            path = re.sub(r"<(\w+)>", r"{\1}", simplify_regex(route)).replace("{pk}", "{id}")
            callback: Any = pattern.callback
            methods = getattr(callback, "actions", None) or callback.cls().allowed_methods
            yield from ((path, method.lower()) for method in methods if method.lower() not in ("head", "options"))


def walk_patterns(patterns: Any, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from walk_patterns(pattern.url_patterns, route)


def test_every_route_is_in_it(document: dict[str, Any]) -> None:
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == set(list_routes())
    assert len(described) >= 17


def list_views() -> Iterator[tuple[str, str, ShapedViewSet]]:
    generator = SchemaGenerator()
    generator._initialise_endpoints()
    for path, _, method, view in generator._get_paths_and_endpoints():
        if isinstance(view, ShapedViewSet):
            yield path, method.lower(), view


def test_every_parameter_that_a_view_reads_is_in_it(document: dict[str, Any]) -> None:
    for path, method, view in list_views():
        parameters = document["paths"][path][method].get("parameters", [])
        described = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        # Where nothing can be expanded, as in a brand or a CSV row, the parameter takes nothing.
        is_flat = not list_expandable(view.read_serializer) or path.endswith(".csv")
        read = set(view.known_parameters) - ({"expand"} if is_flat else set())
        families = {f"{prefix}NAME" for prefix in (view.open_parameters if view.is_list else ())}
        assert described == read | families, (path, method)
        assert all(parameter.get("description") for parameter in parameters if parameter["in"] == "query"), path


def find_parameter(document: dict[str, Any], path: str, name: str) -> dict[str, Any]:
    [found] = [each for each in document["paths"][path]["get"]["parameters"] if each["name"] == name]
    return dict(found)


def test_parameters_have_their_types_and_limits(document: dict[str, Any]) -> None:
    products = "/api/v1/products/"
    assert find_parameter(document, products, "page_size")["schema"] == {
        "type": "integer", "minimum": 1, "maximum": 200, "default": 50,
    }  # fmt: skip
    assert find_parameter(document, products, "count")["schema"] == {"$ref": "#/components/schemas/CountWay"}
    assert document["components"]["schemas"]["CountWay"]["enum"] == ["none", "bounded", "exact", "estimated"]
    ordering = find_parameter(document, products, "ordering")
    assert "default" not in ordering["schema"]  # who sends it loses a search's order by rank
    assert "`-created_at`" in ordering["description"]
    assert "`variants.stock`" in find_parameter(document, products, "expand")["description"]
    assert find_parameter(document, products, "in_stock")["schema"] == {"type": "boolean"}
    assert find_parameter(document, products, "id")["schema"]["items"] == {"type": "integer", "format": "int64"}
    assert find_parameter(document, f"{products}{{id}}/", "id")["schema"]["maximum"] == 10**18 - 1


def test_a_row_shows_both_forms_of_what_may_be_expanded(document: dict[str, Any]) -> None:
    product = document["components"]["schemas"]["Product"]
    assert [form.get("type", form.get("$ref")) for form in product["properties"]["brand"]["oneOf"]] == [
        "string", "#/components/schemas/Brand", "null",
    ]  # fmt: skip
    assert "required" not in product  # `fields` may leave out any of them
    assert product["properties"]["price"]["type"] == "string"
    assert product["properties"]["images"]["type"] == "array"


def test_each_operation_names_its_refusals(document: dict[str, Any]) -> None:
    paths = document["paths"]
    read = {"400", "401", "403", "406", "429", "503", "504"}
    assert set(paths["/api/v1/products/"]["get"]["responses"]) == {"200", "304", *read}
    assert set(paths["/api/v1/brands/"]["get"]["responses"]) == {"200", "304", *read}
    written = {"400", "401", "403", "404", "406", "409", "413", "412", "415", "429", "503", "504"}
    assert set(paths["/api/v1/products/{id}/"]["get"]["responses"]) == {"200", "304", *read, "404"}
    assert set(paths["/api/v1/products/{id}/"]["put"]["responses"]) == {"200", *written}
    assert set(paths["/api/v1/products/{id}/"]["delete"]["responses"]) == {"204", *written - {"413", "415"}}


def test_a_bulk_names_its_limits(document: dict[str, Any]) -> None:
    [stock] = document["paths"]["/api/v1/stock/bulk/"]["patch"]["requestBody"]["content"].values()
    assert (stock["schema"]["type"], stock["schema"]["minItems"], stock["schema"]["maxItems"]) == ("array", 1, 1000)
    items = document["components"]["schemas"]["ProductBulkRequest"]["properties"]["items"]
    assert (items["minItems"], items["maxItems"]) == (1, 1000)


def test_a_token_is_sent_as_it_is_printed(document: dict[str, Any]) -> None:
    scheme = document["components"]["securitySchemes"]["apiToken"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_its_head_names_the_release(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == settings.VERSION


def test_its_head_lists_every_code(document: dict[str, Any]) -> None:
    assert {code.name for code in list_codes()} == find_codes()
    assert all(f"| `{code.name}` | {code.status} |" in document["info"]["description"] for code in list_codes())
    assert all(code.meaning for code in list_codes())


@pytest.mark.slow
def test_two_processes_make_the_same_document(document: dict[str, Any]) -> None:
    assert documents.build_document() == document


# -- its examples ------------------------------------------------------------------------------------------------

PRODUCTS = "/api/v1/products/"
TEA = {
    "sku": "TEA-2",
    "title": "Black Tea",
    "brand": "tidewater",
    "category": "food-drinks",
    "attributes": {"color": "black"},
    "variants": [{"sku": "TEA-2-S", "price": "4.00", "options": {"Size": "S"}, "on_hand": 7}],
    "images": [{"url": "https://images.example/tea-2.jpg", "alt": "A tin"}],
}

# As the fixtures have it.
LOGIN = {"email": "root@example.com", "password": "root", "name": "laptop"}

HOME = {"name": "Mia Wu", "line1": "1 High St", "city": "Bath", "postcode": "BA1 1AA", "country": "GB"}
CUP = {"sku": "CUP-2", "title": "Small Cup", "price": "7.00"}
ONE = [{"sku": "TF-00000002-1", "price": "5.00", "on_hand": 3}]

# What needs a caller even to be read.
PRIVATE = tuple(f"/api/v1/{name}/" for name in ("auth", "me", "orders", "users", "changes", "exports"))

FILE = {"resource": "products", "format": "csv", "filters": {"brand": "tidewater"}, "compression": "zstd"}

BULK = {
    "mode": "upsert",
    "on_error": "skip",
    "items": [
        {"sku": "TF-00000002", "rating": "4.75"},
        {"sku": "TEA-5", "title": "Oolong", "brand": "tidewater", "price": "7.00"},
        {"sku": "TEA-6", "title": "Mate", "brand": "nobody", "price": "3.00"},
    ],
}
LEVELS = [{"sku": "TF-00000002-1", "on_hand": 4}, {"sku": "TF-00000002-1", "location": "outlet", "on_hand": 12}]
AMOUNTS = [{"sku": "TF-00000002-1", "price": "5.50"}]
MIXED = [*AMOUNTS, {"sku": "TEA-0", "price": "9.50"}]

# Operation and status, a name, method and path, body. `{id}` is the product's, `{number}` an order's,
# `{user}` a user's, `{export}` a job's.
REQUESTS: list[tuple[str, str, str, Any]] = [
    ("list_products_200", "By cursor", f"GET {PRODUCTS}?page_size=1", None),
    ("list_products_200", "By page number, expanded", f"GET {PRODUCTS}?page=1&page_size=1&expand=brand,images", None),
    ("list_products_200", "With facets", f"GET {PRODUCTS}?page_size=1&fields=id&facets=brand", None),
    ("get_product_facets_200", "All facets", f"GET {PRODUCTS}facets/?category=food", None),
    ("get_product_200", "As it is", f"GET {PRODUCTS}{{id}}/", None),
    ("get_product_200", "Expanded", f"GET {PRODUCTS}{{id}}/?expand=brand,category,images,variants.stock", None),
    ("get_product_200", "A few members", f"GET {PRODUCTS}{{id}}/?fields=id,title,price", None),
    ("suggest_products_200", "A beginning", f"GET {PRODUCTS}suggest/?q=gre", None),
    ("get_product_by_slug_200", "A few members", f"GET {PRODUCTS}by-slug/green-tea/?fields=id,slug,title", None),
    ("create_product_201", "A product with a variant and an image", f"POST {PRODUCTS}", TEA),
    ("update_product_200", "A new price", f"PATCH {PRODUCTS}{{id}}/?fields=id,price", {"price": "5.25"}),
    ("replace_product_200", "All of it", f"PUT {PRODUCTS}{{id}}/", TEA | {"sku": "TF-00000002", "variants": ONE}),
    ("bulk_write_products_200", "What is there is changed, what isn't is created", f"POST {PRODUCTS}bulk/", BULK),
    ("bulk_update_stock_200", "At two places", "PATCH /api/v1/stock/bulk/", LEVELS),
    ("bulk_update_prices_200", "A price", "PATCH /api/v1/prices/bulk/", AMOUNTS),
    ("bulk_update_prices_200", "Bad rows left out", "PATCH /api/v1/prices/bulk/?on_error=skip", MIXED),
    ("list_product_images_200", "All images", f"GET {PRODUCTS}{{id}}/images/", None),
    ("list_product_variants_200", "All variants", f"GET {PRODUCTS}{{id}}/variants/?expand=stock", None),
    (
        "create_product_variant_201",
        "One more",
        f"POST {PRODUCTS}{{id}}/variants/",
        {"sku": "TEA-1-L", "price": "9.00"},
    ),
    (
        "create_product_image_201",
        "One more",
        f"POST {PRODUCTS}{{id}}/images/",
        {"url": "https://images.example/2.jpg"},
    ),
    ("update_variant_200", "A weight", "PATCH /api/v1/variants/TEA-1-L/?fields=sku,weight", {"weight": 250}),
    ("list_variants_200", "By cursor", "GET /api/v1/variants/?page_size=1", None),
    ("get_variant_200", "A variant", "GET /api/v1/variants/TF-00000002-1/", None),
    ("list_brands_200", "By page number", "GET /api/v1/brands/", None),
    ("get_brand_200", "A brand", "GET /api/v1/brands/tidewater/", None),
    ("list_categories_200", "By page number", "GET /api/v1/categories/", None),
    ("get_category_200", "A category", "GET /api/v1/categories/food-drinks/", None),
    ("get_category_tree_200", "With what is below it", "GET /api/v1/categories/food/tree/", None),
    ("create_brand_201", "By its name", "POST /api/v1/brands/", {"name": "Zeta"}),
    ("create_brand_merge_200", "Into another brand", "POST /api/v1/brands/zeta/merge/", {"into": "tidewater"}),
    ("update_category_200", "To a root", "PATCH /api/v1/categories/food-drinks/", {"parent": None}),
    ("create_attribute_201", "A number", "POST /api/v1/attributes/", {"name": "volts", "type": "number"}),
    ("log_in_200", "Sign in", "POST /api/v1/auth/login/", LOGIN),
    ("create_auth_token_201", "One for a nightly job", "POST /api/v1/auth/tokens/", {"name": "nightly export"}),
    ("list_auth_tokens_200", "Without their secrets", "GET /api/v1/auth/tokens/", None),
    ("get_me_200", "Who asks", "GET /api/v1/me/", None),
    ("update_me_200", "A name", "PATCH /api/v1/me/", {"first_name": "Mia", "last_name": "Wu"}),
    ("create_my_address_201", "At home", "POST /api/v1/me/addresses/", HOME),
    ("list_my_addresses_200", "By cursor", "GET /api/v1/me/addresses/", None),
    ("list_users_200", "By cursor", "GET /api/v1/users/?page_size=1&ordering=-email", None),
    ("list_users_200", "By address", "GET /api/v1/users/?email=ROOT@example.com&fields=id,email", None),
    ("get_user_200", "With addresses", "GET /api/v1/users/{user}/", None),
    ("list_user_orders_200", "By cursor", "GET /api/v1/users/{user}/orders/?fields=number,status,total", None),
    ("create_order_201", "Two pieces", "POST /api/v1/orders/", {"lines": [{"sku": "TF-00000002-1", "quantity": 2}]}),
    ("list_orders_200", "By cursor", "GET /api/v1/orders/?page_size=1", None),
    ("get_order_200", "An order", "GET /api/v1/orders/{number}/", None),
    ("update_order_200", "Paid", "PATCH /api/v1/orders/{number}/?fields=number,status", {"status": "paid"}),
    ("list_my_orders_200", "By cursor", "GET /api/v1/me/orders/?page_size=1", None),
    ("get_root_200", "All addresses", "GET /api/v1/", None),
    ("list_changes_200", "From the oldest change", "GET /api/v1/changes/?page_size=2", None),
    ("list_product_history_200", "The latest change", f"GET {PRODUCTS}{{id}}/history/?page_size=1", None),
    ("create_export_201", "A brand's products as packed CSV", "POST /api/v1/exports/", FILE),
    ("list_exports_200", "The newest first", "GET /api/v1/exports/?page_size=1", None),
    ("get_export_200", "Ready", "GET /api/v1/exports/{export}/", None),
    ("get_export_manifest_200", "What proves it", "GET /api/v1/exports/{export}/manifest/", None),
    ("problem_400", "A slip in a name", f"GET {PRODUCTS}?prise=5", None),
    ("problem_400", "A value that isn't taken", f"GET {PRODUCTS}?page_size=1000", None),
    ("problem_400", "A body with two faults", f"POST {PRODUCTS}", {"sku": "TEA-4", "price": "cheap"}),
    ("problem_401", "A token that isn't known", "GET /api/v1/", None),
    ("problem_403", "Without the right", f"POST {PRODUCTS}", TEA),
    ("problem_404", "No such row", f"GET {PRODUCTS}999999/", None),
    ("problem_406", "A type that isn't spoken", "GET /api/v1/", None),
    ("problem_409", "A SKU that is taken", f"PATCH {PRODUCTS}{{id}}/", {"variants": [{"sku": "CUP-1", "price": "1"}]}),
    ("problem_409", "Out of stock", "POST /api/v1/orders/", {"lines": [{"sku": "TF-00000002-1", "quantity": 50}]}),
    ("problem_409", "A step that isn't one", "PATCH /api/v1/orders/{number}/", {"status": "completed"}),
    ("problem_410", "A cursor that can't be gone on from", "GET /api/v1/changes/?after=999999999", None),
    ("problem_412", "Somebody was faster", f"PATCH {PRODUCTS}{{id}}/", {"title": "Sencha"}),
    ("problem_415", "Not JSON", f"POST {PRODUCTS}", {}),
    ("problem_422", "A key of another request", f"POST {PRODUCTS}", CUP | {"price": "8.00"}),
    ("problem_429", "Too often", "GET /api/v1/", None),
]


def fill_shop() -> int:
    """Brands, categories and SKUs of the demo catalogue, so that the examples can be tried out on it."""
    Attribute.objects.create(name="color", type="text")
    Location.objects.create(code="outlet", name="Outlet")
    make_category("Food", "Coffee")
    make_product(sku="CUP-1", slug="cup", title="Cup", brand=make_brand("Borealis"), category=make_category("Home"))
    tea = make_product(
        sku="TF-00000002", slug="green-tea", title="Green Tea", price="4.50", rating="4.50", stock=12,
        brand=make_brand("Tidewater"), category=make_category("Food", "Drinks"), attributes={"color": "green"},
        description="Steamed, from Uji.",
    )  # fmt: skip
    Variant.objects.filter(product=tea).update(sku="TF-00000002-1")
    return int(tea.pk)


def make_export(owner: User) -> int:
    """A job that is ready."""
    now = timezone.now()
    job = ExportJob.objects.create(
        owner=owner, resource="products", format="csv", compression="zstd", status="ready", rows_done=2, rows_total=2,
        percent=100, bytes=412, seconds_left=0, last_id=2, changes_cursor=14, sha256="9f2c" * 16,
        started_at=now, finished_at=now, expires_at=now + ExportJob.kept,
    )  # fmt: skip
    return int(job.pk)


def ask(key: str, request: str, body: Any, client: APIClient, staff: APIClient) -> Any:
    method, _, path = request.partition(" ")
    # Nobody's host (RFC 2606), which no reader takes for the one they read it from.
    headers: dict[str, Any] = {"HTTP_HOST": "catalogue.example", "wsgi.url_scheme": "https"}
    headers |= {"HTTP_ACCEPT": "application/pdf"} if key == "problem_406" else {}
    headers |= {"HTTP_AUTHORIZATION": "Token unknown"} if key == "problem_401" else {}
    headers |= {"HTTP_IF_MATCH": 'W/"1.5f1c0b7d2a9e4c8f10"'} if key == "problem_412" else {}
    is_public = method == "GET" and not (path.startswith(PRIVATE) or "/history/" in path)
    caller = client if key in ("problem_401", "problem_403") or is_public else staff
    headers |= {"HTTP_IDEMPOTENCY_KEY": "cup-2"} if key == "problem_422" else {}
    if key == "problem_429":
        with override_settings(RATE_LIMIT_TOKEN="1/hour"):
            return [client.get(path, **headers) for _ in range(2)][-1]
    if body is None:
        return caller.get(path, **headers)
    if key == "problem_422":
        staff.post(path, CUP, **headers)
    kind = "text/csv" if key == "problem_415" else "application/json"
    return getattr(caller, method.lower())(path, json.dumps(body), content_type=kind, **headers)


def find_shape(value: Any) -> Any:
    """Names and kinds of a JSON value; lists by their first row."""
    if isinstance(value, dict):
        return {name: find_shape(below) for name, below in value.items() if name != "attributes"}
    if isinstance(value, list):
        return [find_shape(value[0])] if value else []
    return type(value).__name__ if value is not None else None


def find_hosts(value: Any) -> set[str]:
    return set(re.findall(r"https?://[^/]+/api/", json.dumps(value)))


def collect_examples(client: APIClient, staff: APIClient) -> dict[str, list[dict[str, Any]]]:
    """What `examples.json` holds, as it is answered now."""
    found: dict[str, list[dict[str, Any]]] = {}
    key_of_tea = fill_shop()
    root = User.objects.get(email=LOGIN["email"])
    number = place_order(root, [{"sku": "TF-00000002-1", "quantity": 1}]).number
    export = make_export(root)
    for key, name, request, body in REQUESTS:
        real = request.format(id=key_of_tea, number=number, user=root.pk, export=export)
        answer = ask(key, real, body, client, staff)
        assert key.endswith(f"_{answer.status_code}"), (real, answer.content)
        found.setdefault(key, []).append({"name": name, "request": real, "body": body, "answer": answer.json()})
    return found


@pytest.mark.slow
@pytest.mark.django_db
def test_its_examples_are_real_answers(client: APIClient, staff: APIClient, mia: APIClient, settings: Any) -> None:
    """With `WRITE_EXAMPLES=1` the file is written anew from what is answered."""
    settings.ALLOWED_HOSTS = ["catalogue.example"]
    # "403" needs a caller who is somebody and may do nothing; a bad token is refused whoever calls.
    found = collect_examples(mia, staff)
    if os.environ.get("WRITE_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        read_examples.cache_clear()
    stored = read_examples()
    assert list(stored) == list(found)
    for key, examples in found.items():
        for real, said in zip(examples, stored[key], strict=True):
            assert find_shape(real["answer"]) == find_shape(said["answer"]), (key, real["name"])
            assert (real["name"], real["body"]) == (said["name"], said["body"])
            assert find_hosts(said["answer"]) == find_hosts(real["answer"])


@pytest.fixture
def mia(db: None) -> APIClient:
    """Somebody without a right, whose credentials are only used where the request brings none."""
    client = APIClient()
    client.force_login(User.objects.create_user("mia@example.com", "mia"))
    return client


def test_each_page_of_it_leads_back(client: APIClient) -> None:
    for path in ("/api/v1/docs/", "/api/v1/redoc/"):
        links = re.findall(r'<a href="([^"]*)">', client.get(path, HTTP_ACCEPT="text/html").content.decode())
        assert links == ["/", "/api/v1/"]


@pytest.mark.slow
def test_each_example_stands_in_the_document(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for key, examples in read_examples().items():
        assert all(json.dumps(example["name"]) in text for example in examples), key


# -- how it is served --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db
def test_it_is_made_once_and_without_a_query(
    client: APIClient, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.write_document.cache_clear()
    with django_assert_num_queries(0):
        first = client.get(URL)
    monkeypatch.setattr(documents, "build_document", lambda: pytest.fail("made twice"))
    second = client.get(URL)
    assert first.content == second.content
    assert json.loads(first.content)["openapi"] == "3.1.0"
    assert first["Cache-Control"] == "public, no-cache"
    assert client.get(URL, HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/vnd.oai.openapi+json"),
        ("*/*", "application/vnd.oai.openapi+json"),
        ("text/html,*/*;q=0.8", "application/vnd.oai.openapi+json"),
        ("application/json", "application/json"),
        ("application/yaml", "application/yaml"),
        ("application/vnd.oai.openapi", "application/vnd.oai.openapi"),
        ("application/pdf", "application/problem+json"),
    ],
)
def test_its_form_follows_from_accept(accept: str, kind: str, client: APIClient) -> None:
    answer = client.get(URL, HTTP_ACCEPT=accept)
    assert answer["Content-Type"] == kind
    assert "Accept" in answer["Vary"]
    assert answer.content.startswith(b"openapi: 3.1.0" if "json" not in kind else b"{")


def test_unknown_parameters_are_refused_here_too(client: APIClient) -> None:
    for url in (URL, "/api/v1/"):
        assert client.get(f"{url}?format=yaml").json()["code"] == "unknown_parameter"


@pytest.mark.parametrize("name", ["docs", "redoc"])
def test_each_page_has_all_it_needs_from_this_host(name: str, client: APIClient) -> None:
    page = client.get(f"/api/v1/{name}/", HTTP_ACCEPT="text/html")
    assert page.status_code == 200
    text = page.content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sources
    assert all(source.startswith(("/", "?")) for source in sources)
    assert not re.findall(r"<script>", text)  # the policy refuses what stands in the page


def test_redocs_script_names_no_host_to_load_from(client: APIClient) -> None:
    page = client.get("/api/v1/redoc/", HTTP_ACCEPT="text/html").content.decode()
    [_, source] = re.findall(r'<script src="([^"]+)"', page)
    script = client.get(f"/api/v1/redoc/{source}")
    assert script["Content-Type"] == "text/javascript"
    assert "immutable" in script["Cache-Control"]
    assert b"//cdn." not in script.content


@pytest.mark.parametrize("name", ["docs", "redoc"])
def test_a_page_refuses_as_everything_does(name: str, client: APIClient) -> None:
    url = f"/api/v1/{name}/"
    for answer in (client.get(url, HTTP_ACCEPT="application/json"), client.post(url), client.options(url)):
        assert answer.status_code in (405, 406)
        assert answer["Content-Type"] == "application/problem+json"


def test_generators_take_each_schema_and_each_example_of_a_body(document: dict[str, Any]) -> None:
    """What their validators refuse: a type named twice, and an example without a member that is required."""
    schemas = document["components"]["schemas"]
    types = [each["type"] for each in walk_objects(document) if isinstance(each.get("type"), list)]
    assert [each for each in types if len(set(each)) < len(each)] == []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                needed = schemas.get(content["schema"].get("$ref", "").rpartition("/")[2], {}).get("required", ())
                for example in content.get("examples", {}).values():
                    assert all(name in example["value"] for name in needed), path


def walk_objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk_objects(below)
