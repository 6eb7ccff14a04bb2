"""The API in a browser: every list and form, and no more queries than the JSON costs."""

import html
import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.filters import UserFilters
from accounts.models import User
from catalog.filters import ProductFilters
from config.api.rendering.forms import find_line
from tests.config.api.schema.test_documents import fill_shop
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "products/",
        "products/?search=tea",
        "products/?expand=brand,images,variants",
        "products/{id}/",
        "products/{id}/?fields=id",
        "products/{id}/variants/",
        "products/{id}/images/",
        "variants/A-1/",
        "brands/",
        "brands/acme/",
        "categories/",
        "categories/food/tree/",
        "products/?prise=1",
        "products/999/",
    ],
)
def test_each_page_opens(path: str, client: APIClient, staff: APIClient) -> None:
    product = make_product(sku="A-1", title="Tea", brand=make_brand("Acme"), category=make_category("Food"))
    for caller in (client, staff):
        answer = caller.get(f"/api/v1/{path.format(id=product.pk)}", HTTP_ACCEPT=HTML)
        assert answer.status_code == (400 if "prise" in path else 404 if "999" in path else 200)
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert b"Tenfold" in answer.content


def test_each_page_says_in_words_and_code_what_it_is_for(staff: APIClient) -> None:
    for path, name in (("imports/", "Import List"), ("exports/", "Export Job List"), ("orders/", "Order List")):
        page = staff.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content.decode()
        assert f"<h1>{name}</h1>" in page
    assert "<code>after=next_cursor</code>" in staff.get("/api/v1/changes/", HTTP_ACCEPT=HTML).content.decode()


@pytest.mark.parametrize("path", ["products/?page_size=1", "products/?prise=1", "products/999/", "orders/"])
def test_it_shows_the_content_type_that_a_program_gets(path: str, client: APIClient) -> None:
    page = client.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content.decode()
    sent = client.get(f"/api/v1/{path}")["Content-Type"]
    assert re.findall(r'<b>Content-Type:</b> <span class="lit">(.*?)</span>', page) == [sent]


def test_the_filters_stay_beside_a_refusal_to_be_mended(client: APIClient) -> None:
    page = client.get("/api/v1/products/?created_after=noon", HTTP_ACCEPT=HTML).content.decode()
    assert re.search(r'<input[^>]* name="created_after"[^>]* value="noon"|value="noon"[^>]* name="created_after"', page)


def test_the_root_leads_to_each_list(client: APIClient) -> None:
    roots = client.get("/api/v1/").json()
    assert {"products", "orders", "changes", "exports", "imports"} <= set(roots)
    assert {client.options(url).status_code for url in roots.values()} <= {200, 401, 405}


def test_a_program_that_takes_anything_gets_json(client: APIClient) -> None:
    for accept in ("*/*", "application/*", ""):
        assert client.get("/api/v1/brands/", HTTP_ACCEPT=accept)["Content-Type"] == "application/json"


@pytest.mark.parametrize("size", [2, 20])
def test_a_page_in_html_costs_what_its_json_costs(
    size: int, client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(size):
        make_product(brand=make_brand())
    # The page and its bounded count in one.
    with django_assert_num_queries(1):
        client.get("/api/v1/products/?page=1&page_size=1", HTTP_ACCEPT=HTML)


# -- the pager ---------------------------------------------------------------------------------------------------


def read_pagers(client: APIClient, url: str) -> tuple[str, dict[str, str]]:
    """The words of a page's pager, and the address of each of its links by its name."""
    page = client.get(url, HTTP_ACCEPT=HTML).content.decode()
    above, below = re.findall(r'<p class="pages">(.*?)</p>', page, re.DOTALL)
    assert above == below
    words = re.sub(r"<a .*?</a>|<[^>]*>", "", above, flags=re.DOTALL).strip()
    return words, {name: html.unescape(href) for href, name in re.findall(r'<a[^>]* href="([^"]*)">(.*?)</a>', above)}


@pytest.mark.slow
@pytest.mark.parametrize("query", ["page_size=2", "page=1&page_size=2"])
def test_a_list_is_walked_by_links_to_its_end_and_back(query: str, client: APIClient) -> None:
    for _ in range(5):
        make_product()
    first, places = f"http://testserver/api/v1/products/?{query}", []
    url = first
    while url:
        places.append(url)
        url = read_pagers(client, url)[1].get("Next", "")
    assert len(places) == 3
    for url in reversed(places[1:]):
        before = read_pagers(client, url)[1]["Previous"]
        assert client.get(before).json()["results"] == client.get(places[places.index(url) - 1]).json()["results"]
    assert "Previous" not in read_pagers(client, first)[1]


def test_a_page_with_a_number_says_where_it_stands(client: APIClient) -> None:
    for _ in range(5):
        make_product()
    assert read_pagers(client, "/api/v1/products/?page=2&page_size=2")[0] == "Page 2 of 3, 5 in all"
    assert read_pagers(client, "/api/v1/products/?page=2&page_size=2&count=none")[0] == "Page 2"
    assert read_pagers(client, "/api/v1/products/?page_size=2&count=exact")[0] == "5 in all"


def test_a_page_of_more_rows_than_are_counted_says_so(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.reads.list_plans.BOUND", 4)
    for _ in range(5):
        make_product()
    assert read_pagers(client, "/api/v1/products/?page=1&page_size=2")[0] == "Page 1, more than 4 in all"


def test_a_list_by_cursor_leads_to_its_pages_with_numbers(client: APIClient) -> None:
    for _ in range(3):
        make_product()
    links = read_pagers(client, "/api/v1/products/?page_size=2&ordering=price")[1]
    words, numbered = read_pagers(client, links["Pages with numbers"])
    assert (words, list(numbered)) == ("Page 1 of 2, 3 in all", ["Next"])


def test_the_change_feed_leads_on_by_a_link(staff: APIClient) -> None:
    for _ in range(3):
        make_product()
    assert list(read_pagers(staff, "/api/v1/changes/?page_size=2&after=0")[1]) == ["Next"]


def test_what_is_no_list_or_one_page_by_cursor_has_no_pager(client: APIClient) -> None:
    product = make_product()
    for path in ("", "products/", f"products/{product.pk}/", "products/?prise=1"):
        assert b'class="pages"' not in client.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content


# -- forms -------------------------------------------------------------------------------------------------------


def test_no_form_lists_a_table(staff: APIClient) -> None:
    product = make_product()
    for number in range(30):
        make_brand(f"Listed {number}")
    for path in ("products/", f"products/{product.pk}/"):
        assert b"Listed" not in staff.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content


def test_the_form_of_a_product_holds_a_body_that_can_be_sent_back(staff: APIClient) -> None:
    product = make_product(brand=make_brand("Acme"), variants=2, images=2, description="Kept.")
    url = f"/api/v1/products/{product.pk}/"
    page = staff.get(url, HTTP_ACCEPT=HTML).content.decode()
    forms = re.findall(r'<textarea name="_content"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert "Kept." in forms[0]
    before = staff.get(f"{url}?expand=variants.stock,images").json()
    answer = staff.put(url, html.unescape(forms[0]), content_type="application/json")
    assert answer.status_code == 200, answer.json()
    assert staff.get(f"{url}?expand=variants.stock,images").json() == before


def read_forms(page: str) -> list[str]:
    return [
        html.unescape(text)
        for text in re.findall(r'<textarea name="_content"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    ]


@pytest.mark.once  # its form; bodies are taken on both
@pytest.mark.parametrize(
    "path",
    [
        "products/",
        "products/bulk/",
        "stock/bulk/",
        "prices/bulk/",
        "orders/",
        "exports/",
        "auth/tokens/",
        "me/addresses/",
    ],
)
def test_a_form_begins_with_a_body_that_is_taken(path: str, staff: APIClient, client: APIClient) -> None:
    fill_shop()
    page = staff.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content.decode()
    [body] = read_forms(page)
    send = staff.patch if 'data-method="PATCH"' in page else staff.post
    answer = send(f"/api/v1/{path}", body, content_type="application/json")
    assert answer.status_code in (200, 201), answer.json()
    assert b"<textarea" not in client.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content


def test_forms_send_to_the_address_without_its_parameters(staff: APIClient) -> None:
    make_product()
    page = staff.get("/api/v1/products/?page_size=1&search=product", HTTP_ACCEPT=HTML).content.decode()
    assert set(re.findall(r'<form class="[^"]*sent" action="([^"]*)"', page)) == {"/api/v1/products/"}


BODY = '{\n  "sku": "A",\n  "title": "Tea",\n  "variants": [\n    {"sku": "A-1",\n     "price": "cheap"}\n  ]\n}'


def test_a_refused_body_stays_with_the_lines_of_its_errors(staff: APIClient) -> None:
    answer = staff.post("/api/v1/products/", BODY, content_type="application/json", HTTP_ACCEPT=HTML)
    page = answer.content.decode()
    assert (answer.status_code, read_forms(page)) == (400, [BODY])
    assert re.search(r">Line 6</a>, <code>/variants/0/price</code>: .*cheap", page)


def test_a_body_that_is_no_json_stays_in_the_form_of_a_session() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("root@example.com", "x"))
    page = browser.get("/api/v1/products/", HTTP_ACCEPT=HTML).content.decode()
    headers = {
        "HTTP_X_CSRFTOKEN": re.findall(r'name="csrfmiddlewaretoken" value="(.*?)"', page)[0],
        "HTTP_ACCEPT": HTML,
    }
    answer = browser.post("/api/v1/products/", '{"sku": ', content_type="application/json", **headers)
    page = answer.content.decode()
    assert (answer.status_code, read_forms(page)) == (400, ['{"sku": '])
    assert ("Log out" in page, "Log in" in page) == (True, False)
    del headers["HTTP_X_CSRFTOKEN"]
    assert browser.post("/api/v1/products/", "{}", content_type="application/json", **headers).status_code == 403


def test_a_deletion_ends_at_the_list_which_says_so(staff: APIClient) -> None:
    staff.force_login(User.objects.get(email="root@example.com"))
    address = f"/api/v1/products/{make_product().pk}/"
    answer = staff.delete(address, HTTP_ACCEPT=HTML)
    assert (answer.status_code, answer["Location"]) == (303, "/api/v1/products/")
    assert f"Deleted: {address}" in staff.get(answer["Location"], HTTP_ACCEPT=HTML).content.decode()


def test_logging_in_leads_back_to_the_filtered_list(client: APIClient) -> None:
    page = client.get("/api/v1/products/?search=tea&page_size=2", HTTP_ACCEPT=HTML).content.decode()
    assert "next=/api/v1/products/%3Fsearch%3Dtea%26page_size%3D2" in page


@pytest.mark.parametrize(
    ("pointer", "line"), [("", 1), ("/a", 2), ("/b/1/c~1d", 4), ("/b/1/missing", 3), ("/b/7", 3), ("/z", 1)]
)
def test_a_pointer_leads_to_its_line(pointer: str, line: int) -> None:
    assert find_line('{\n"a": "x\\"}",\n"b": [{}, {"e": [],\n"c/d": 1}]}', pointer) == line
    assert find_line('{"a": ', "/a/b") is None


def test_the_filter_form_begins_empty_and_may_be_sent_so(client: APIClient) -> None:
    make_product(stock=0)
    page = client.get("/api/v1/products/", HTTP_ACCEPT=HTML).content.decode()
    assert set(re.findall(r'value="([^"]*)" selected', page)) <= {""}
    empty = "brand=&category=&status=&price_min=&in_stock=&created_after=&id=&sku=&search="
    assert len(client.get(f"/api/v1/products/?{empty}").json()["results"]) == 1


def test_each_filter_stands_beside_its_parameter(staff: APIClient) -> None:
    for path, filters in (("products/", ProductFilters), ("users/", UserFilters)):
        page = staff.get(f"/api/v1/{path}", HTTP_ACCEPT=HTML).content.decode()
        labels = dict(re.findall(r'<label for="id_([^"]*)"><code>([^<]*)</code> \w', page))
        assert labels == {name: name for name in filters.base_filters}


def test_a_stranger_sees_no_form(client: APIClient) -> None:
    make_product()
    assert b"<textarea" not in client.get("/api/v1/products/", HTTP_ACCEPT=HTML).content
