"""Products for agents that shop, by OpenAI's product feed: JSON Lines, an object for each variant.

What an object may have: https://developers.openai.com/commerce/specs/file-upload/products. Nine members are required.
A product without a brand or a picture has no line, since nothing may stand in their place.
"""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings

from config.api.rendering.renderers import write_json
from exports.errors import SettingMissing
from exports.formats.encoders import Format, parse_rows
from exports.formats.google import (
    MOST_DESCRIPTION,
    MOST_TITLE,
    OPTIONS,
    FeedProduct,
    begin_link,
    describe_price,
    finish_link,
    is_gtin,
    list_addresses,
    name_brand,
    name_type,
)

# Options that are also members of an object.
CHOSEN = ("color", "size", "material")
# Not Django's strip_tags, which raises an error for some texts.
TAGS = re.compile(r"</?[A-Za-z][^<>]*>|<!--[^<>]*-->")
BLANKS = re.compile(" {2,}")
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

type Line = dict[str, Any]


class Agentic(Format):
    """Members without a value are left out."""

    suffix = "agentic"
    file_suffix = "jsonl"
    media_type = "application/x-ndjson"
    shape = FeedProduct
    filters: ClassVar[Mapping[str, str]] = {"status": "active"}
    summary = "All {name} as OpenAI's product feed (JSON Lines), an object for each variant."

    @classmethod
    def check_settings(cls) -> None:
        for name, example in NEEDED.items():
            if not getattr(settings, name):
                raise SettingMissing(name, "each object of this feed needs it", example)

    @classmethod
    def write_rows(cls, lines: bytes) -> bytes:
        return b"".join(write_json(line) + b"\n" for row in parse_rows(lines) for line in make_lines(row))


NEEDED = {
    "PRODUCT_URL_TEMPLATE": "https://shop.example.com/p/{slug}",
    "SELLER_NAME": "Example Shop",
    "SELLER_COUNTRIES": "US,CA",
}


def make_lines(product: Mapping[str, Any]) -> Iterator[Line]:
    brand, images = name_brand(product), list_addresses(product)
    if not (brand and images):
        return
    variants = product["variants"]
    shared = drop_empty(
        {
            "description": write_text(product["description"])[:MOST_DESCRIPTION] or product["title"],
            "brand": brand,
            "image_url": images[0],
            "additional_image_urls": images[1:],
            "product_category": name_type(product),
            **describe_seller(),
        }
    )
    group, link = name_group(product) if len(variants) > 1 else "", begin_link(product)
    for variant in variants:
        yield shared | {"url": finish_link(link, variant)} | drop_empty(describe_variant(product, variant, group))


def drop_empty(line: Line) -> Line:
    return {name: value for name, value in line.items() if value or value is False}


def describe_seller() -> Line:
    shop = urlsplit(settings.PRODUCT_URL_TEMPLATE)
    return {
        "seller_name": settings.SELLER_NAME,
        "seller_url": f"{shop.scheme}://{shop.netloc}/",
        "store_country": settings.SELLER_COUNTRIES[0],
        "target_countries": settings.SELLER_COUNTRIES,
        "return_policy": settings.SELLER_RETURNS_URL,
        "is_eligible_search": True,
        # Buying within the chat needs an agreement with OpenAI, and another API than ours.
        "is_eligible_checkout": False,
    }


def describe_variant(product: Mapping[str, Any], variant: Mapping[str, Any], group: str) -> Line:
    chosen = {OPTIONS.get(name.lower(), name): value for name, value in variant["options"].items()}
    title = ", ".join([product["title"], *variant["options"].values()])
    price, sale_price = describe_price(product, variant)
    return {
        "item_id": variant["sku"],
        "title": write_text(title)[:MOST_TITLE],
        "price": price,
        "sale_price": sale_price,
        "availability": "in_stock" if variant["is_free"] else "out_of_stock",
        "gtin": variant["barcode"] if is_gtin(variant["barcode"]) else "",
        **{name: chosen[name] for name in CHOSEN if name in chosen},
        "group_id": group,
        "listing_has_variations": bool(group),
        # Where nobody says in what the variants differ, it is the SKU.
        "variant_dict": (variant["options"] or {"sku": variant["sku"]}) if group else {},
    }


def name_group(product: Mapping[str, Any]) -> str:
    """The id that the variants share. It must be none of theirs, and the product's SKU is that of a variant."""
    group, skus = f"product-{product['id']}", {variant["sku"] for variant in product["variants"]}
    while group in skus:
        group += "-"
    return group


def write_text(text: str) -> str:
    """Plain text: blanks in place of tags and control characters."""
    plain = unescape(TAGS.sub(" ", text)) if "<" in text or "&" in text else text
    return BLANKS.sub(" ", CONTROLS.sub(" ", plain)).strip()
