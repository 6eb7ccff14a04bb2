"""Whatever text stands in a row comes back out of CSV and NDJSON, letter for letter, and no cell is run."""

import csv
import io
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from catalog.models import Brand, Product, ProductText
from exports.formats.encoders import parse_rows
from exports.management.commands.export import OPERATOR
from exports.rows.chunks import find_ends, make_query, read_chunks
from tests.config.api.reads.test_projection import HOSTILE, OBJECTS, PRICES
from tests.examples import share

pytestmark = pytest.mark.slow

# What separates, quotes and ends cells and lines, and what begins a formula, beside the projection's own.
SIGNS = st.text(st.sampled_from("\",\n\r'\\;|=+-@\t aé\u00a0\u3000\uff1d\uff20"))
HARD = st.one_of(
    HOSTILE,
    SIGNS,
    st.sampled_from(["=1+1", "-5", "+1", "@SUM(A1)", "\t=1", "\r", "", '""', "\\.", "'=1", "''\t", "'"]),
    st.sampled_from(["x;=1+1", "x|'-1", 'x;"=1+1;', "x\n=1", ";", "x;y"]),
    st.sampled_from(
        [" =1", "\u00a0' +1", "x; =1", "x,\t =1", 'x;" =1', "x|\u3000@A()", "\uff1d1", "x;\uff0b1", "\uff0d1", "\n =1"]
    ),
)

FIELDS = "id,sku,title,brand,price,rating,attributes,description"


def read_all(format_: str, raw: str = "0") -> bytes:
    query = make_query("products", OPERATOR, QueryDict(f"fields={FIELDS}&raw={raw}"), format_)
    return b"".join(chunk.data for chunk in read_chunks(query, 0, find_ends(query)[1]))


def read_csv(raw: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(read_all("csv", raw).decode(), newline="")))


# What begins a formula, also in full width, and behind blanks.
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
RUN = f"\\s*[{re.escape(''.join(FORMULA))}]"


def guard(text: str) -> str:
    """By another way than the product's: letter by letter."""
    guarded = ""
    for place, letter in enumerate(text):
        rest = text[place:]
        if place == 0:
            is_risky = rest.lstrip("'").startswith(("\t", "\r")) or drop(rest, "'").startswith(FORMULA)
        else:
            is_risky = text[place - 1] in ";|\t\n\r" and drop(rest, "'\"").startswith(FORMULA)
        guarded += f"'{letter}" if is_risky else letter
    return guarded


def drop(text: str, signs: str) -> str:
    """The text without blanks and signs at its beginning. Blanks that separate cells stay."""
    while text and (text[0] in signs or (text[0].isspace() and text[0] not in "\t\r\n")):
        text = text[1:]
    return text


class TestAnyText(TestCase):
    @settings(max_examples=share(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(HARD, HARD, HARD, PRICES, OBJECTS), min_size=1, max_size=4))
    def test_what_is_stored_is_what_is_read(self, values: list[tuple[Any, ...]]) -> None:
        wanted = []
        for number, (title, name, description, price, attributes) in enumerate(values):
            brand = Brand.objects.create(name=f"{number}", slug=f"{name}{number}")
            product = Product.objects.create(
                sku=f"{title[:50]}{number}", slug=f"s{number}", title=title, brand=brand, attributes=attributes,
                rating=Decimal("4.50"), price=price,
            )  # fmt: skip
            ProductText.objects.create(product=product, description=description)
            product.refresh_from_db()
            wanted.append((product, brand, description))
        rows = list(parse_rows(read_all("ndjson")))
        assert [[row["id"], row["sku"], row["title"], row["brand"], row["description"]] for row in rows] == [
            [product.pk, product.sku, product.title, brand.slug, description] for product, brand, description in wanted
        ]
        assert [row["attributes"] for row in rows] == [product.attributes for product, _, _ in wanted]
        for raw, show in (("1", str), ("0", guard)):
            assert [cells[:6] + cells[7:] for cells in read_csv(raw)] == [
                [
                    str(product.pk), show(product.sku), show(product.title), show(brand.name), str(product.price),
                    "4.50", show(description),
                ]
                for product, brand, description in wanted
            ]  # fmt: skip
            assert [json.loads(cells[6]) for cells in read_csv(raw)] == [product.attributes for product, _, _ in wanted]
        # Nothing that a person wrote begins as a formula does.
        assert not [cell for cells in read_csv("0") for cell in cells if re.match(f"[\t\r]|{RUN}", cell)]
        # Nor does a part of it, for a program that expects another separator; `raw` changes nothing.
        assert not [cell for cells in read_csv("0") for cell in cells if re.search(f'[;|\t\r\n]"*{RUN}', cell)]
