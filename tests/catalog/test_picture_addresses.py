"""Pictures of this server are stored as paths and shown behind the asker's origin. What was shown is a path again."""

import csv
import json
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from catalog.media.addresses import shorten
from catalog.models import Image, Product
from tests.exports.conftest import read_body
from tests.factories import make_product

pytestmark = pytest.mark.django_db

PICTURE, DEMO = f"/media/{'0a' * 20}.jpg", "/pictures/demo/tf-00000007-1.svg"
SMALL = f"/media/{'0a' * 20}-160.webp"
# A text that looks like the JSON around an address.
TRICK = '"url":"/media/x", : "/media/y'


@pytest.fixture
def product() -> Product:
    row = make_product(images=0, attributes={"image_url": "/media/z", "text": TRICK}, status="active")
    more = {"width": 3, "height": 2, "thumbnails": {"small": SMALL}}
    Image.objects.create(product=row, url=PICTURE, alt=TRICK, position=1, **more)
    Image.objects.create(product=row, url=DEMO, alt="/media/alt", position=2)
    Image.objects.create(product=row, url="/mine/a.jpg", position=3)
    Image.objects.create(product=row, url="https://else.example/media/a.jpg", position=4)
    return row


def check(row: dict[str, Any], origin: str) -> None:
    assert row["image_url"] == f"{origin}{PICTURE}"
    assert row["attributes"] == {"image_url": "/media/z", "text": TRICK}
    urls = [image["url"] for image in row["images"]]
    assert urls == [f"{origin}{PICTURE}", f"{origin}{DEMO}", "/mine/a.jpg", "https://else.example/media/a.jpg"]
    assert row["images"][0]["thumbnails"] == {"small": f"{origin}{SMALL}"}
    assert [image["alt"] for image in row["images"]][:2] == [TRICK, "/media/alt"]


@pytest.mark.parametrize("more", ["", "&fields=id,image_url,images,attributes", "&omit=title,rating"])
@pytest.mark.parametrize("place", ["", "{key}/"])
def test_lists_and_details_show_the_origin_of_whoever_asks(
    place: str, more: str, client: Client, product: Product, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["one.example", "two.example"]
    for host in ("one.example", "two.example"):
        body = client.get(f"/api/v1/products/{place.format(key=product.pk)}?expand=images{more}", HTTP_HOST=host).json()
        check(body["results"][0] if "results" in body else body, f"http://{host}")


def test_the_images_of_a_product_and_a_search_show_it_too(client: Client, product: Product) -> None:
    rows = client.get(f"/api/v1/products/{product.pk}/images/").json()["results"]
    assert (rows[0]["url"], rows[0]["thumbnails"]["small"]) == (
        f"http://testserver{PICTURE}", f"http://testserver{SMALL}",
    )  # fmt: skip
    [row] = client.get(f"/api/v1/products/?search={product.title}&expand=images").json()["results"]
    check(row, "http://testserver")


def test_a_sub_path_stands_before_it(client: Client, product: Product) -> None:
    row = client.get(f"/api/v1/products/{product.pk}/?expand=images", SCRIPT_NAME="/eu").json()
    check(row, "http://testserver/eu")


def test_exports_show_it(staff: APIClient, product: Product) -> None:
    lines = read_body(staff.get("/api/v1/exports/products.ndjson?expand=images&trailer=0")).splitlines()
    check(json.loads(lines[0]), "http://testserver")
    [cells] = csv.DictReader(StringIO(read_body(staff.get("/api/v1/exports/products.csv")).decode()))
    assert cells["image_url"] == f"http://testserver{PICTURE}"


def test_whatever_was_read_is_written_back_as_it_was(staff: APIClient, product: Product) -> None:
    stored = list(Image.objects.values_list("pk", "url"))
    url = f"/api/v1/products/{product.pk}/"
    row = staff.get(f"{url}?expand=images").json()
    assert staff.patch(url, {"images": [{"id": i["id"], "url": i["url"]} for i in row["images"]]}).status_code == 200
    assert list(Image.objects.values_list("pk", "url")) == stored
    assert staff.get(url).json()["version"] == row["version"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (f"https://shop.example{PICTURE}", PICTURE),
        (f"https://shop.example:8443/eu{PICTURE}", PICTURE),
        (f"http://api.example{DEMO}", DEMO),
        (f"https://other.example{PICTURE}", None),
        (f"https://shop.example@other.example{PICTURE}", None),
        (f"https://shop.example{PICTURE}?v=2", None),
        ("https://shop.example/media/logo.jpg", None),
        (f"https://other.example/shop.example{PICTURE}", None),
    ],
)
def test_only_pictures_under_names_of_this_server_become_paths(address: str, path: str | None, settings: Any) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://shop.example/eu", ["api.example", "*"]
    assert shorten(address) == (path or address)
