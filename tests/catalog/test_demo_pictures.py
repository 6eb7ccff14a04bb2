"""`/pictures/demo/…`: the demo catalogue's pictures are drawn by the server, from the SKU."""

import re
from xml.etree import ElementTree

import pytest
from django.test import Client

from catalog.media.demo import COLORS, draw_picture
from catalog.seeding.rows import make_product
from catalog.seeding.words import COLORS as NAMES
from catalog.seeding.words import VIEWS
from config.api.admin.cells import show_picture

ADDRESS = "/pictures/demo/tf-00000007-1.svg"


@pytest.mark.once
def test_each_picture_of_a_seeded_product_has_an_answer() -> None:
    urls = [image["url"] for number in range(1, 40) for image in make_product(number).images]
    for url in urls:
        answer = Client().get(url)
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
        ElementTree.fromstring(answer.content)
    assert len({Client().get(url).content for url in urls}) == len(urls)


@pytest.mark.once
def test_a_picture_is_kept_for_a_year_and_can_do_nothing() -> None:
    answer = Client().get(ADDRESS)
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert not answer.cookies
    assert answer["Vary"] == "Accept-Encoding"
    assert Client().head(ADDRESS).status_code == 200


@pytest.mark.once
@pytest.mark.parametrize("name", ["tf-00000000-1.svg", "tf-00000007-5.svg", "tf-7-1.svg", "x.svg"])
def test_no_other_address_has_a_picture(name: str) -> None:
    assert Client().get(f"/pictures/demo/{name}").status_code == 404


@pytest.mark.once
def test_every_kind_of_product_and_every_colour_can_be_drawn() -> None:
    assert set(COLORS) == set(NAMES)
    for position in range(1, len(VIEWS) + 1):
        assert not re.search(r'"(main|deep|pale)"|[{}]', draw_picture(7, position))


@pytest.mark.once
def test_a_page_below_a_sub_path_shows_our_pictures_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.admin.cells.get_script_prefix", lambda: "/eu/")
    assert 'src="/eu/pictures/1.svg"' in show_picture("/pictures/1.svg", "")
    assert 'src="https://i.example/1.jpg"' in show_picture("https://i.example/1.jpg", "")
