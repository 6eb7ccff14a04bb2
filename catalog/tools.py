"""Tools for agents that look for products: search, facets, one product, several side by side, stock.

Each asks the API, so callers see the products that they may see.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from config.api.reads.filtering import join_values
from config.api.tools.registry import Arguments, Ask, Call, Json, Refused, Tool

# Members of a found product; get_product has the others.
BRIEF = "id,sku,slug,title,brand,category,price,compare_at_price,currency,in_stock,rating"
# Members that are compared, beside the attributes.
COMPARED = f"{BRIEF},attributes,description"
MOST_FOUND, MOST_COMPARED, MOST_SKUS = 25, 5, 20

ORDERINGS = ("-created_at", "price", "-price", "title", "-rating")


def describe_text(description: str, most: int = 100) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": most, "description": description}


def describe_slugs(description: str) -> Json:
    items = {"type": "string", "minLength": 1, "maxLength": 100}
    return {"type": "array", "items": items, "minItems": 1, "maxItems": 20, "description": description}


PRICE = {"type": "string", "pattern": r"^[0-9]{1,10}(\.[0-9]{1,2})?$"}
VALUE = {"type": ["string", "number", "boolean"], "maxLength": 200}
ID = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}

FILTERS: dict[str, Json] = {
    "query": describe_text(
        "Words of title, brand, SKU or description; beginnings of words are enough. Leave out words such as 'cheap'; "
        "use price_max and ordering for those.",
        200,
    ),
    "brand": describe_slugs("Slugs of brands, as product_facets lists them; products of any of them match."),
    "category": describe_slugs("Slugs of categories; products of any of them, and of all below, match."),
    "price_min": {**PRICE, "description": "Least price, included, such as '12.50'."},
    "price_max": {**PRICE, "description": "Greatest price, included, such as '40'."},
    "in_stock": {"type": "boolean", "description": "true: only products that can be bought now."},
    "on_sale": {"type": "boolean", "description": "true: only products whose price is reduced."},
    "rating_min": {"type": "number", "minimum": 0, "maximum": 5, "description": "Least rating, of 5."},
    "attributes": {
        "type": "object",
        "additionalProperties": VALUE,
        "maxProperties": 10,
        "description": 'Values of declared attributes, such as {"color": "red"}; product_facets lists them.',
    },
}


def write_filters(given: Arguments) -> dict[str, str]:
    """The arguments as the list's parameters. Only products on sale are looked for, whoever asks."""
    query = {"status": "active"}
    plain = given.keys() & FILTERS.keys() - {"query", "attributes"}
    query |= {name: write_value(given[name]) for name in sorted(plain)}
    for name, value in given.get("attributes", {}).items():
        query[f"attr.{name}"] = join_values([write_value(value)])
    if "query" in given:
        query["search"] = given["query"]
    return query


def write_value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return join_values(value)
        case _:
            return str(value)


def search_products(ask: Ask, given: Arguments) -> Json:
    page = given.get("page", 1)
    query = {**write_filters(given), "fields": BRIEF, "page": str(page), "page_size": str(given.get("limit", 10))}
    if "ordering" in given:
        query["ordering"] = given["ordering"]
    found = ask(Call("products/", query))
    more = {"next": f"Call again with page {page + 1}."} if found["next"] else {}
    names = ("count", "count_relation", "page", "pages", "search")
    return {"products": found["results"], **{name: found[name] for name in names if name in found}, **more}


def count_facets(ask: Ask, given: Arguments) -> Json:
    query = {**write_filters(given), "facet_size": str(given.get("size", 10))}
    if "facets" in given:
        query["facets"] = ",".join(given["facets"])
    return ask(Call("products/facets/", query))


def get_product(ask: Ask, given: Arguments) -> Json:
    if len(given) != 1:
        raise Refused(
            {
                "status": 422,
                "code": "invalid_arguments",
                "detail": "get_product needs one of id, slug and sku.",
                "hint": "Give the id that search_products shows.",
            }
        )
    shown = {"expand": "images,variants", "omit": "images_url,image_url,seo_title,seo_description,version,created_at"}
    return ask(Call(find_path(ask, given), shown))


def find_path(ask: Ask, given: Arguments) -> str:
    if "slug" in given:
        return f"products/by-slug/{quote(given['slug'], safe='')}/"
    if "sku" not in given:
        return f"products/{given['id']}/"
    found = ask(Call("products/", {"sku": join_values([given["sku"]]), "fields": "id"}))["results"]
    if found:
        return f"products/{found[0]['id']}/"
    # It may be the SKU of a variant.
    variant = ask(Call(f"variants/{quote(given['sku'], safe='')}/", {"fields": "product"}))
    return f"products/{variant['product']}/"


def compare_products(ask: Ask, given: Arguments) -> Json:
    """Members that are the same for all, and those that differ, by product."""
    query = {"id": ",".join(map(str, given["ids"])), "fields": COMPARED}
    rows = [flatten(row) for row in ask(Call("products/", query))["results"]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    equal = [name for name in names if all(row.get(name) == rows[0].get(name) for row in rows)]
    return {
        "same": {name: rows[0].get(name) for name in equal},
        "different": {
            name: {str(row["id"]): row.get(name) for row in rows} for name in names if name not in (*equal, "id")
        },
        "not_found": sorted(set(given["ids"]) - {row["id"] for row in rows}),
    }


def flatten(row: dict[str, Json]) -> dict[str, Json]:
    attributes = row.pop("attributes") or {}
    return row | {f"attributes.{name}": value for name, value in attributes.items()}


def check_stock(ask: Ask, given: Arguments) -> Json:
    """What can be bought of each SKU, at each sellable location and in all."""
    query = {"sku": join_values(given["skus"]), "expand": "stock", "fields": "sku,product,price,options,stock"}
    variants = ask(Call("variants/", {**query, "page_size": str(MOST_SKUS)}))["results"]
    known = {variant["sku"] for variant in variants}
    return {
        "variants": list(describe_stock(variants, list_sellable(ask))),
        "not_found": [sku for sku in given["skus"] if sku not in known],
    }


def list_sellable(ask: Ask) -> set[str]:
    """The codes of the locations that orders take from."""
    codes, query = set[str](), {"fields": "code,sellable", "page_size": "200"}
    while True:
        page = ask(Call("locations/", query))
        codes |= {row["code"] for row in page["results"] if row["sellable"]}
        if not page["next_cursor"]:
            return codes
        query = {**query, "cursor": page["next_cursor"]}


def describe_stock(variants: list[dict[str, Json]], sellable: set[str]) -> Iterator[dict[str, Json]]:
    for variant in variants:
        rows = [row for row in variant.pop("stock") if row["location"] in sellable]
        free = {row["location"]: row["on_hand"] - row["reserved"] for row in rows}
        yield {**variant, "free": sum(free.values()), "free_by_location": free}


TOOLS = (
    Tool(
        name="search_products",
        title="Search products",
        description=(
            "Find products of the catalogue by words, brand, category, price, stock, rating and attributes. Returns "
            "products with id, title, price and stock, how many match (count), and the next page if there is one. If "
            "nothing is found, use fewer or shorter words."
        ),
        properties={
            **FILTERS,
            "ordering": {
                "type": "string",
                "enum": list(ORDERINGS),
                "description": "Default: the best matches of query first, without query the newest.",
            },
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST_FOUND, "description": "Default 10."},
            "page": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "Default 1."},
        },
        hints={"page_too_deep": "Narrow the search with more filters; product_facets lists their values."},
        run=search_products,
    ),
    Tool(
        name="product_facets",
        title="Count products by brand, category, price and attributes",
        description=(
            "Count the products that search_products would find with the same filters, for each brand, category, price "
            "range, rating and attribute value. Use it to learn which values the filters take, and to narrow a search "
            "that finds too many."
        ),
        properties={
            **FILTERS,
            "facets": describe_slugs(
                "Which: brand, category, price, rating, in_stock, and attr.NAME for an attribute. Default: all."
            ),
            "size": {"type": "integer", "minimum": 1, "maximum": 20, "description": "Values of each. Default 10."},
        },
        run=count_facets,
    ),
    Tool(
        name="get_product",
        title="Read a product",
        description=(
            "Read one product with its description, attributes, images and variants (each with its own SKU, options "
            "and price). Give exactly one of id, slug and sku; sku may be that of a variant."
        ),
        properties={
            "id": {**ID, "description": "The product's id."},
            "slug": describe_text("The product's slug.", 255),
            "sku": describe_text("The SKU of the product or of one of its variants."),
        },
        hints={"not_found": "Find it with search_products, which shows the id, slug and SKU of each product."},
        run=get_product,
    ),
    Tool(
        name="compare_products",
        title="Compare products",
        description=(
            f"Set 2 to {MOST_COMPARED} products side by side. Returns what is the same for all of them, and for each "
            "member that differs its value by product id."
        ),
        properties={
            "ids": {
                "type": "array", "items": ID, "minItems": 2, "maxItems": MOST_COMPARED, "uniqueItems": True,
                "description": "Ids of products, as search_products shows them.",
            }
        },
        required=("ids",),
        run=compare_products,
    ),
    Tool(
        name="check_stock",
        title="Check stock",
        description=(
            "How many pieces of variants can be bought now, in all and by the locations that orders take from. Take "
            "the SKUs from the variants of get_product."
        ),
        properties={
            "skus": {
                "type": "array", "items": describe_text("A variant's SKU."), "minItems": 1, "maxItems": MOST_SKUS,
                "uniqueItems": True, "description": "SKUs of variants.",
            }
        },
        required=("skus",),
        run=check_stock,
    ),
)  # fmt: skip
