"""A person clicks through the catalogue: the links of facets in the browsable API."""

import html
import re

import pytest
from rest_framework.test import APIClient

from catalog.models import Attribute
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db

# The address, whether it is chosen, the label and the count of each link.
LINK = re.compile(r'<li><a href="([^"]*)"( aria-current="true")?>([^<]*)</a> ([^<]*)</li>')


def open_page(client: APIClient, address: str) -> str:
    answer = client.get(address, HTTP_ACCEPT="text/html")
    assert answer.status_code == 200, address
    return answer.content.decode()


def find_links(page: str) -> dict[str, tuple[str, bool, str]]:
    found = LINK.findall(page)
    return {html.unescape(label): (html.unescape(url), bool(chosen), count) for url, chosen, label, count in found}


def count_rows(page: str) -> int:
    return len(re.findall("&quot;sku&quot;:", page))


@pytest.mark.slow
def test_each_click_narrows_the_list_and_a_second_one_widens_it(client: APIClient) -> None:
    Attribute.objects.create(name="color")
    for number in range(3):
        make_product(
            brand=make_brand(f"Brand {number}"), category=make_category("Food"), price=f"{number * 10 + 3}.00",
            attributes={"color": "Olive, matt" if number else "Black"},
        )  # fmt: skip
    page = open_page(client, "/api/v1/products/?cursor=")
    [facets] = re.findall(r'href="([^"]*)">Facets</a>', page)
    start = f"{html.unescape(facets)},attr.color"
    for label, rows, count in (
        ("Brand 1", 1, "1"), ("Food", 3, "3"), ("Olive, matt", 2, "2"), ("In stock", 3, "3"),
        ("10.00 to 24.99", 2, "2"),
    ):  # fmt: skip
        url, is_chosen, said = find_links(open_page(client, start))[label]
        assert (is_chosen, said) == (False, count), label
        page = open_page(client, url)
        assert count_rows(page) == rows, label
        back, is_chosen, _ = find_links(page)[label]
        assert is_chosen, label
        assert count_rows(open_page(client, back)) == 3, label


def test_two_values_of_a_facet_are_chosen_together(client: APIClient) -> None:
    for name in ("Acme", "Zeta", "Mono"):
        make_product(brand=make_brand(name))
    page = open_page(client, "/api/v1/products/facets/?facets=brand")
    for label in ("Acme", "Zeta"):
        page = open_page(client, find_links(page)[label][0])
    assert count_rows(page) == 2
    assert {label: chosen for label, (_, chosen, _) in find_links(page).items()} == {
        "Acme": True, "Zeta": True, "Mono": False,
    }  # fmt: skip


def test_no_other_page_has_facets(client: APIClient) -> None:
    product = make_product()
    for path in (f"products/{product.pk}/", "brands/", "products/?prise=1"):
        page = client.get(f"/api/v1/{path}", HTTP_ACCEPT="text/html").content.decode()
        assert ">Facets</a>" not in page
        assert 'class="facets"' not in page
