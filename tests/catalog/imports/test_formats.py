"""Files of shops, as their own exports and templates are: each is recognised, and read without a map."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import pytest

from catalog.imports.days import read_day, read_magento_day, read_times
from catalog.imports.errors import BadFile, BadRow
from catalog.imports.options import Options
from catalog.imports.readers import open_source
from catalog.imports.runs import ImportRun
from catalog.writes.drafts import Command, ProductDraft
from catalog.writes.values import BadValue


def read(content: str | bytes, name: str = "file.csv", **options: Any) -> tuple[ImportRun, list[ProductDraft | BadRow]]:
    """The run and what it drafts. No database is asked."""
    chosen = Options(**options)
    stream = BytesIO(content.encode() if isinstance(content, str) else content)
    run = ImportRun(open_source(stream, name, chosen), chosen)
    return run, list(run.read_drafts())


def draft(content: str | bytes, name: str = "file.csv", **options: Any) -> list[ProductDraft]:
    """The drafts of a file without bad rows."""
    _, rows = read(content, name, **options)
    assert not [row.refusals for row in rows if isinstance(row, BadRow)]
    return [row for row in rows if isinstance(row, ProductDraft)]


def refuse(content: str | bytes, name: str = "file.csv", **options: Any) -> list[str]:
    _, rows = read(content, name, **options)
    return [refusal.reason for row in rows if isinstance(row, BadRow) for refusal in row.refusals]


def show(product: ProductDraft) -> list[tuple[Any, ...]]:
    """SKU, options, price, weight and pieces of each variant."""
    return [
        (one.sku, one.fields["options"], str(one.fields.get("price", "")), one.fields.get("weight"), one.pieces)
        for one in product.variants or ()
    ]


def name_links(product: ProductDraft) -> dict[str, str]:
    return {name: str(link) for name, link in product.links.items()}


def list_urls(product: ProductDraft) -> list[str | None]:
    return [image.url for image in product.images or ()]


def table(*rows: Sequence[str], separator: str = ",") -> str:
    return "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows) + "\n"


# -- Shopify -------------------------------------------------------------------------------------------------------

NEW_SHOPIFY = (
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,Barcode,"
    "Option1 name,Option1 value,Price,Compare-at price,Inventory quantity,Weight value (grams),Product image URL,"
    "Image position,Image alt text,Variant image URL,SEO title,SEO description\n"
    'Mug,mug,Big,Acme,Home > Kitchen,Mugs,"a, b",FALSE,Active,M-1,0123,Colour,Red,9.50,12,7,453.592,'
    "https://i.example/m.jpg,1,Front,https://i.example/red.jpg,Best mug,Buy it\n"
    ",mug,,,,,,,,M-2,,,Blue,10.50,,-3,300,,,,https://i.example/blue.jpg,,\n"
)


def test_shopifys_template_since_2025_is_read() -> None:
    (mug,) = draft(NEW_SHOPIFY)
    assert (mug.slug, mug.fields["title"], mug.fields["status"]) == ("mug", "Mug", "draft")
    assert name_links(mug) == {"brand": "Acme", "category": "Home > Kitchen"}
    assert show(mug) == [
        ("M-1", {"Colour": "Red"}, "9.50", 454, {"main": 7}),
        ("M-2", {"Colour": "Blue"}, "10.50", 300, {"main": 0}),
    ]
    assert list_urls(mug) == ["https://i.example/m.jpg", "https://i.example/red.jpg", "https://i.example/blue.jpg"]
    assert mug.text["seo_title"] == "Best mug"


def test_rows_of_a_product_that_stand_apart_are_all_of_it_or_none() -> None:
    header = ("Handle", "Title", "Option1 Name", "Option1 Value", "Variant Price")
    rows = [("a", "", "", "L", "2"), ("b", "B", "Size", "S", "1"), ("a", "A", "Size", "S", "3")]
    a, b = draft(table(header, *rows))
    assert [variant[1:3] for variant in show(a)] == [({"Size": "L"}, "2.00"), ({"Size": "S"}, "3.00")]
    assert (a.fields["title"], b.fields["title"]) == ("A", "B")
    _, (bad, good) = read(table(header, *rows[:2], ("a", "A", "Size", "S", "cheap")))
    assert isinstance(bad, BadRow)
    assert isinstance(good, ProductDraft)
    # The product begins on line 2, where a run that was stopped goes on; the error names line 4.
    assert (bad.line, bad.refusals[0].line) == (2, 4)


def test_shopifys_inventory_sets_pieces_by_location() -> None:
    header = ("Handle", "Title", "SKU", "Location", "On hand (current)", "On hand (new)")
    rows = [("a", "A", "S-1", "Main street", "3", ""), ("a", "A", "S-1", "Outlet", "5", "8")]
    (pieces,) = draft(table(header, *rows, ("a", "A", "S-1", "Web", "not stocked", "")))
    assert pieces.is_found_by_variant
    assert pieces.key == "S-1"
    assert [variant.pieces for variant in pieces.variants or ()] == [{"main street": 3, "outlet": 8}]


def test_shopifys_json_is_read() -> None:
    (tee,) = draft(
        '{"products": [\n {"id": 1, "title": "Tee", "handle": "tee", "body_html": "<p>x</p>", "vendor": "Acme",'
        ' "product_type": "Shirts", "tags": ["a", "b"], "published_at": null,'
        ' "options": [{"name": "Size", "position": 1, "values": ["S", "M"]}],'
        ' "variants": [{"sku": "T-S", "option1": "S", "price": "20.00", "grams": 200, "compare_at_price": null},'
        ' {"sku": "", "option1": "M", "price": "21.00", "grams": 210}],'
        ' "images": [{"src": "https://i.example/1.jpg", "position": 1, "alt": "Front"}]}\n]}',
        "products.json",
    )
    assert (tee.slug, tee.fields["status"], tee.attributes) == ("tee", "draft", {"tags": ["a", "b"]})
    assert [variant[:4] for variant in show(tee)] == [
        ("T-S", {"Size": "S"}, "20.00", 200),
        ("tee.m", {"Size": "M"}, "21.00", 210),
    ]
    assert tee.images
    assert tee.images[0].fields["alt"] == "Front"


def test_matrixifys_commands_are_followed() -> None:
    header = ("Handle", "Command", "Title", "Body HTML", "Image Src", "Variant SKU", "Variant Price")
    header += ("Variant Weight", "Variant Weight Unit", "Inventory Available: Outlet")
    merge = (
        "a",
        "MERGE",
        "A",
        "<p>x</p>",
        "https://i.example/1.jpg;https://i.example/2.jpg",
        "A",
        "20",
        "0.2",
        "kg",
        "4",
    )
    gone = ("b", "DELETE", "B", "", "", "B", "1", "", "", "")
    a, b = draft(table(header, merge, gone, ("c", "IGNORE", *gone[2:])))
    assert show(a) == [("A", {}, "20.00", 200, {"outlet": 4})]
    assert list_urls(a) == ["https://i.example/1.jpg", "https://i.example/2.jpg"]
    assert (a.command, b.command, b.slug) == (Command.NONE, Command.DELETE, "b")
    (reason,) = refuse(table(header, ("a", "REPLACE", *merge[2:])))
    assert reason.startswith("Command: 'REPLACE' is not one of MERGE, NEW, UPDATE, DELETE, IGNORE; give one of these")


# -- WooCommerce, Square, BigCommerce, Etsy --------------------------------------------------------------------------

WOO = (
    "ID", "Type", "SKU", "GTIN, UPC, EAN, or ISBN", "Name", "Published", "Short description", "Description",
    "In stock?", "Stock", "Weight (kg)", "Sale price", "Regular price", "Categories", "Tags", "Images", "Parent",
    "Attribute 1 name", "Attribute 1 value(s)", "Attribute 2 name", "Attribute 2 value(s)",
)  # fmt: skip


def test_woocommerces_variations_are_variants_of_their_parent_in_any_order() -> None:
    small = ("11", "variation", "T-S", "4006381333931", "Tee - S", "1", "", "", "1", "5", "", "15", "20", "", "", "")
    small += ("id:10", "Size", "S", "", "")
    medium = ("12", "variation", "", "", "Tee - M", "1", "", "", "0", "", "0.3", "", "20", "", "", "", "T", "Size", "M")
    medium += ("", "")
    tee = (
        "10",
        "variable",
        "T",
        "",
        "Tee",
        "-1",
        "short",
        "Long",
        "1",
        "",
        "0.2",
        "",
        "",
        "Clothes > Tees, Sale",
        "a, b",
    )
    tee += ("https://i.example/1.jpg, https://i.example/2.jpg", "", "Size", "S, M", "Material", "Cotton")
    run, rows = read(table(WOO, small, tee, medium))
    (product,) = rows
    assert isinstance(product, ProductDraft)
    assert (product.sku, product.fields["status"], product.text["description"]) == ("T", "draft", "Long")
    assert show(product) == [
        ("T-S", {"Size": "S"}, "15.00", 200, {"main": 5}),
        ("T.m", {"Size": "M"}, "20.00", 300, {"main": 0}),
    ]
    assert str(product.fields["compare_at_price"]) == "20.00"
    assert product.attributes == {"Material": "Cotton", "tags": ["a", "b"]}
    assert product.links["category"].names == ("Clothes", "Tees")
    assert [guess.option for guess in run.source.notes.guesses.values()] == ["category"]


def test_woocommerces_shared_stock_and_other_brands_are_named() -> None:
    header = ("Type", "SKU", "Name", "Published", "Regular price", "Stock", "Brands", "Parent")
    header += ("Attribute 1 name", "Attribute 1 value(s)")
    own = ("variable", "T", "Tee", "1", "", "7", "Acme, Zeta", "", "Size", "S, M")
    small, medium = (("variation", f"T-{size}", "", "1", "5", "parent", "", "T", "Size", size) for size in "SM")
    run, (product,) = read(table(header, own, small, medium))
    assert isinstance(product, ProductDraft)
    assert product.links["brand"].name == "Acme"
    assert [pieces for *_, pieces in show(product)] == [{}, {}]
    assert [(one.option, one.used) for one in run.source.notes.guesses.values()] == [
        ("brand", "Acme"),
        ("stock", "none"),
    ]


def test_a_variation_whose_parent_is_not_in_the_file_is_refused() -> None:
    row = (
        "11",
        "variation",
        "T-S",
        "",
        "Tee",
        "1",
        "",
        "",
        "1",
        "5",
        "",
        "",
        "20",
        "",
        "",
        "",
        "T",
        "Size",
        "S",
        "",
        "",
    )
    assert refuse(table(WOO, row)) == ["Parent: 'T' has no row of its own in the file; add the variable product's row"]


def test_squares_variations_are_variants() -> None:
    header = ("Reference Handle", "Token", "Item Name", "Variation Name", "SKU", "Description", "Categories", "GTIN")
    header += ("Archived", "Price", "Option Name 1", "Option Value 1", "Current Quantity Shop", "New Quantity Shop")
    small = (
        "#tee",
        "X",
        "Tee",
        "Small",
        "T-S",
        "Soft",
        "Shirts (#AB1), Sale",
        "",
        "N",
        "20.00",
        "Size",
        "Small",
        "5",
        "",
    )
    large = ("#tee", "Y", "Tee", "Large", "T-L", "Soft", "Shirts", "", "N", "22.00", "Size", "Large", "6", "9")
    mug = ("", "Z", "Mug", "Regular", "", "", "", "", "Y", "9.00", "", "", "", "")
    tee, cup = draft(table(header, small, large, mug))
    assert (tee.slug, tee.links["category"].names) == ("tee", ("Shirts",))
    assert show(tee) == [
        ("T-S", {"Size": "Small"}, "20.00", None, {"main": 5}),
        ("T-L", {"Size": "Large"}, "22.00", None, {"main": 9}),
    ]
    assert (cup.slug, cup.sku, cup.fields["status"], show(cup)[0][1]) == ("mug", "mug", "archived", {})


def test_squares_prices_and_what_its_shop_does_not_show() -> None:
    header = ("Token", "Item Name", "Variation Name", "SKU", "Price", "Online Sale Price", "New Quantity Main St")
    header += ("New Quantity Depot", "Square Online Item Visibility", "Modifier Set - Milk")
    tea = ("X", "Tea", "Regular", "T", "20.00", "18.00", "5", "7", "visible", "Y")
    cup = ("Y", "Cup", "Regular", "C", "9.00", "", "", "2", "hidden", "N")
    first, second = draft(table(header, tea, cup))
    assert show(first) == [("T", {}, "18.00", None, {"main st": 5, "depot": 7})]
    assert (str(first.fields["compare_at_price"]), "status" in first.fields) == ("20.00", False)
    assert (second.fields["status"], show(second)[0][4]) == ("draft", {"depot": 2})
    (reason,) = refuse(table(header, (*tea[:4], "variable", *tea[5:])))
    assert reason == "Price: 'variable' is entered at each sale; give a price, or leave the row out"


def test_bigcommerces_variants_and_images_follow_their_product() -> None:
    header = (
        "Item",
        "ID",
        "Name",
        "Type",
        "SKU",
        "Options",
        "Current Stock",
        "Price",
        "Sale Price",
        "Brand",
        "Categories",
    )
    header += ("Description", "Weight", "Is Visible", "Image URL (Import)")
    tee = (
        "Product",
        "1",
        "Tee",
        "physical",
        "T",
        "",
        "0",
        "25",
        "20",
        "Acme",
        "Shop/Tees;Sale",
        "Soft",
        "0.2",
        "TRUE",
        "",
    )
    small = ("Variant", "2", "", "", "T-S", "Type=Rectangle|Name=Size|Value=S", "5", "", "", "", "", "", "", "", "")
    red = ("Variant", "3", "", "", "T-R", "Type=Swatch|Name=Colour|Value=Red[#FF0000]Type=Rectangle|Name=Size|Value=M")
    red += ("6", "30", "", "", "", "", "", "", "")
    image = ("Image", "4", *[""] * 12, "https://i.example/1.jpg")
    mug = ("Product", "5", "Mug", "physical", "M", "", "3", "9", "", "", "", "", "0.4", "FALSE", "")
    tee_draft, mug_draft = draft(table(header, tee, small, red, image, mug), weight_unit="kg")
    assert show(tee_draft) == [
        ("T-S", {"Size": "S"}, "20.00", 200, {"main": 5}),
        ("T-R", {"Colour": "Red", "Size": "M"}, "30.00", 200, {"main": 6}),
    ]
    assert (tee_draft.links["category"].names, list_urls(tee_draft)) == (("Shop", "Tees"), ["https://i.example/1.jpg"])
    assert show(mug_draft) == [("M", {}, "9.00", 400, {"main": 3})]
    assert mug_draft.fields["status"] == "draft"


def test_bigcommerces_older_export_is_read() -> None:
    header = ("Item Type", "Product ID", "Product Name", "Product Code/SKU", "Price", "Product Visible?", "Category")
    header += ("Current Stock Level", "Product Image URL - 1")
    tee = ("Product", "1", "Tee", "T", "20", "Y", "Shop/Tees", "0", "https://i.example/1.jpg")
    small = ("SKU", "", "[S]Size=S,[RB]Colour=Red", "T-S", "", "", "", "5", "")
    (product,) = draft(table(header, tee, small))
    assert show(product) == [("T-S", {"Size": "S", "Colour": "Red"}, "20.00", None, {"main": 5})]
    assert list_urls(product) == ["https://i.example/1.jpg"]


def test_bigcommerces_zero_is_no_sale_price() -> None:
    header = ("Item Type", "Product Name", "Product Code/SKU", "Price", "Retail Price", "Sale Price", "Product Weight")
    header += ("Product Image File - 1", "Product Image Description - 1")
    row = ("Product", "Mug", "M", "9.00", "0.00", "0.00", "0", "m.jpg", "Front")
    (mug,) = draft(table(header, row), weight_unit="kg")
    assert show(mug)[0][2] == "9.00"
    assert mug.fields.get("compare_at_price") is None
    assert mug.images
    assert mug.images[0].fields["alt"] == "Front"


def test_a_product_that_is_made_of_others_is_refused() -> None:
    rule = "is made of other products, and has no price of its own here; leave the row out, or make it a simple product"
    header = ("ID", "Type", "SKU", "Name", "Published", "Regular price")
    assert refuse(table(header, ("1", "grouped", "G", "Set", "1", ""))) == [f"Type: 'grouped' {rule}"]
    header = ("sku", "attribute_set_code", "product_type", "name", "price")
    assert refuse(table(header, ("B", "Gear", "bundle", "Kit", ""))) == [f"product_type: 'bundle' {rule}"]


def test_etsys_listing_has_all_its_variations_in_a_row() -> None:
    header = ("TITLE", "DESCRIPTION", "PRICE", "CURRENCY_CODE", "QUANTITY", "TAGS", "MATERIALS", "IMAGE1", "IMAGE2")
    header += ("VARIATION 1 TYPE", "VARIATION 1 NAME", "VARIATION 1 VALUES", "SKU")
    mug = ("Mug", "Big", "9.50", "USD", "4", "red_mug,gift", "clay", "https://i.example/1.jpg", "", "", "", "", "M-1")
    tee = ("Tee", "Soft", "20.00", "USD", "9", "", "", "", "", "SIZE", "Size", "S,M", "T-S,T-M")
    cup, shirt = draft(table(header, mug, tee))
    assert (cup.sku, cup.attributes) == ("M-1", {"materials": ["clay"], "tags": ["red mug", "gift"]})
    assert show(cup) == [("M-1", {}, "9.50", None, {"main": 4})]
    assert show(shirt) == [("T-S", {"Size": "S"}, "20.00", None, {}), ("T-M", {"Size": "M"}, "20.00", None, {})]
    assert "is not this server's USD" in refuse(table(header, ("A", "", "1", "EUR", *[""] * 9)))[0]


# -- PrestaShop, Magento, Medusa, Spree --------------------------------------------------------------------------------


def test_magentos_variants_stand_before_or_after_their_configurable_product() -> None:
    header = ("sku", "store_view_code", "attribute_set_code", "product_type", "categories", "name", "weight")
    header += (
        "product_online",
        "price",
        "url_key",
        "base_image",
        "additional_images",
        "qty",
        "configurable_variations",
    )
    small = ("T-S", "", "Default", "simple", "", "Tee S", "0.2", "1", "20.0000", "tee-s", "/t/s.jpg", "", "5.0000", "")
    tee = (
        "T",
        "",
        "Default",
        "configurable",
        "Default Category/Shop/Tees,Default Category/Sale",
        "Tee",
        "",
        "1",
        "",
        "tee",
    )
    tee += ("/t/e.jpg", "/t/1.jpg,/t/2.jpg", "0", "sku=T-S,size=S,color=Red|sku=T-M,size=M,color=Red")
    german = ("T", "de", "Default", "", "", "Hemd", *[""] * 8)
    large = ("T-M", "", "Default", "simple", "", "Tee M", "0.3", "1", "22.0000", "tee-m", "", "", "100.0000", "")
    (product,) = draft(table(header, small, tee, german, large), weight_unit="kg")
    assert (product.sku, product.slug, product.fields["title"]) == ("T", "tee", "Tee")
    assert product.links["category"].names == ("Shop", "Tees")
    assert show(product) == [
        ("T-S", {"size": "S", "color": "Red"}, "20.00", 200, {"main": 5}),
        ("T-M", {"size": "M", "color": "Red"}, "22.00", 300, {"main": 100}),
    ]
    assert list_urls(product) == ["/t/e.jpg", "/t/1.jpg", "/t/2.jpg", "/t/s.jpg"]


def test_medusas_export_is_read() -> None:
    header = ("Product Id", "Product Handle", "Product Title", "Product Status", "Product Category 1", "Product Tag 1")
    header += (
        "Product Image 1",
        "Variant Id",
        "Variant Sku",
        "Variant Weight",
        "Variant Price EUR",
        "Variant Price USD",
    )
    header += ("Variant Option 1 Name", "Variant Option 1 Value")
    row = ("p1", "tee", "Tee", "published", "Shirts", "new", "https://i.example/1.jpg", "v1", "T-S", "200", "18", "20")
    (product,) = draft(table(header, (*row, "Size", "S"), (*row[:8], "T-M", "210", "19", "21", "Size", "M")))
    assert (product.slug, product.fields["status"], product.attributes) == ("tee", "active", {"tags": ["new"]})
    assert [variant[:4] for variant in show(product)] == [
        ("T-S", {"Size": "S"}, "20.00", 200),
        ("T-M", {"Size": "M"}, "21.00", 210),
    ]


def test_medusas_variants_have_the_weight_of_their_product() -> None:
    header = ("Product Handle", "Product Title", "Product Weight", "Variant Title", "Variant SKU", "Variant Weight")
    header += ("Variant Price USD", "Variant Option 1 Name", "Variant Option 1 Value")
    rows = [("b", "Book", "300", "Soft", "B-S", "", "14", "Cover", "Soft")]
    rows += [("b", "Book", "300", "Hard", "B-H", "450", "18.50", "Cover", "Hard")]
    (book,) = draft(table(header, *rows))
    assert [variant[3] for variant in show(book)] == [300, 450]


def test_matrixifys_films_are_no_pictures() -> None:
    header = ("Handle", "Command", "Title", "Category", "Custom Collections", "Image Type", "Image Src")
    header += ("Variant SKU", "Variant Price")
    film = ("a", "MERGE", "", "", "", "VIDEO", "https://i.example/v.mp4", "", "")
    row = ("a", "MERGE", "A", "Home > Rugs", "all, sale", "IMAGE", "https://i.example/1.jpg", "A", "20")
    run, (rug,) = read(table(header, row, film))
    assert isinstance(rug, ProductDraft)
    assert (name_links(rug), list_urls(rug)) == ({"category": "Home > Rugs"}, ["https://i.example/1.jpg"])
    assert run.source.notes.as_json()[0]["reason"] == "a product has pictures alone, so VIDEO isn't read"


def test_sprees_master_variant_is_not_sold_beside_others() -> None:
    header = ("slug", "sku", "name", "status", "price", "compare_at_price", "currency", "weight", "weight_unit")
    header += ("inventory_count", "option1_name", "option1_value", "image1_src", "category1")
    master = ("tee", "T", "Tee", "active", "20", "", "USD", "", "", "", "", "", "https://i.example/1.jpg")
    small = ("tee", "T-S", "", "", "20", "25", "USD", "0.5", "lb", "5", "Size", "S", "", "")
    (product,) = draft(table(header, (*master, "Categories -> Clothes -> Tees"), small))
    assert show(product) == [("T-S", {"Size": "S"}, "20.00", 227, {"main": 5})]
    assert product.links["category"].names == ("Clothes", "Tees")


# -- Google Merchant Center ------------------------------------------------------------------------------------------

FEED = """<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item><g:id>T-S</g:id><g:item_group_id>T</g:item_group_id><title>Tee</title><g:price>25.00 USD</g:price>
<g:sale_price>20 USD</g:sale_price><g:size>S</g:size><g:availability>out of stock</g:availability>
<g:image_link>https://i.example/1.jpg</g:image_link>
<g:additional_image_link>https://i.example/2.jpg</g:additional_image_link>
<g:additional_image_link>https://i.example/3.jpg</g:additional_image_link>
<g:shipping_weight>0.5 kg</g:shipping_weight></item>
<item><g:id>M</g:id><g:title>Mug</g:title><g:price>USD 9.50</g:price></item>
<item><g:id>T-M</g:id><g:item_group_id>T</g:item_group_id><title>Tee</title><g:price>$22</g:price>
<g:size>M</g:size></item>
</channel></rss>"""


def test_googles_feed_of_xml_groups_its_variants() -> None:
    run, rows = read(FEED, "feed.xml")
    assert run.report.format == "google"
    tee, mug = rows
    assert isinstance(tee, ProductDraft)
    assert isinstance(mug, ProductDraft)
    assert show(tee) == [
        ("T-S", {"size": "S"}, "20.00", 500, {"main": 0}),
        ("T-M", {"size": "M"}, "22.00", None, {}),
    ]
    assert (tee.sku, str(tee.fields["compare_at_price"]), len(list_urls(tee))) == ("T", "25.00", 3)
    assert show(mug) == [("M", {}, "9.50", None, {})]


def test_googles_feed_as_a_table_is_read_and_another_currency_refused() -> None:
    header = ("id", "title", "price", "availability", "image link", "product_type", "gtin")
    row = ("G", "Perfume", "352 USD", "in_stock", "https://i.example/p.jpg", "Beauty > Perfume", "0123")
    (perfume,) = draft(table(header, row, separator="\t"), "feed.tsv")
    assert perfume.links["category"].names == ("Beauty", "Perfume")
    (reason,) = refuse(table(header, ("G", "P", "352 EUR", *row[3:])))
    assert "price: '352 EUR' is in EUR, not in this server's USD; convert the prices" in reason


@pytest.mark.parametrize(
    ("times", "price"),
    [
        ("", "300.00"),
        ("2020-01-01T00:00Z/2099-01-01T00:00Z", "300.00"),
        ("2020-01-01T00:00-0800/2020-02-01T00:00-0800", "352.00"),
    ],
)
def test_a_sale_price_counts_only_in_its_time(times: str, price: str) -> None:
    header = ("id", "title", "price", "sale_price", "sale_price_effective_date", "availability")
    (perfume,) = draft(table(header, ("G", "P", "352 USD", "300 USD", times, "in_stock")))
    assert show(perfume)[0][2] == price


@pytest.mark.parametrize(("until", "price"), [("", "300.00"), ("1/31/20", "352.00"), ("1/31/2099 0:00", "300.00")])
def test_magentos_special_price_counts_until_its_day(until: str, price: str) -> None:
    header = ("sku", "name", "product_type", "price", "special_price", "special_price_to_date")
    (perfume,) = draft(table(header, ("G", "P", "simple", "352.0000", "300.0000", until)))
    assert show(perfume)[0][2] == price


@pytest.mark.parametrize(
    ("read", "cell", "day"),
    [
        (read_day, "2026-01-31", date(2026, 1, 31)),
        (read_day, "2026-1-31 10:00:00", date(2026, 1, 31)),
        (read_day, datetime(2026, 1, 31, tzinfo=UTC), date(2026, 1, 31)),
        (read_magento_day, "1/31/26, 12:00 AM", date(2026, 1, 31)),
        (read_magento_day, "01/31/2026", date(2026, 1, 31)),
        (read_magento_day, "2026-01-31 00:00:00", date(2026, 1, 31)),
    ],
)
def test_a_day_is_read_as_its_shop_writes_it(read: Any, cell: Any, day: date) -> None:
    assert read(cell) == day


@pytest.mark.parametrize(
    ("read", "cell"),
    [
        (read_day, "1/2/2026"),  # a spreadsheet's: the first of February, or the second of January
        (read_day, "2026-02-30"),
        (read_day, "46054"),
        (read_magento_day, "31/1/26"),
        (read_times, "2026-01-01"),
        (read_times, "1/2/2026 - 3/4/2026"),
    ],
)
def test_a_day_that_is_not_clear_is_refused(read: Any, cell: str) -> None:
    with pytest.raises(BadValue):
        read(cell)


def test_xml_with_entities_is_refused() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaa">]><rss><item><id>&a;&a;</id></item></rss>'
    with pytest.raises(BadFile, match="declares entities, which are refused"):
        read(bomb, "feed.xml")


def test_an_unread_column_is_named_with_its_slip() -> None:
    run, _ = read("SKU,Name,Price,Colour,Stok,Weigth (kg)\nA,T,5,Red,4,1\n")
    assert run.format.list_unread() == [
        {"column": "Colour", "near": ""},
        {"column": "Stok", "near": "stock"},
        {"column": "Weigth (kg)", "near": "weight"},
    ]
    assert [guess.used for guess in run.source.notes.guesses.values()] == ["title=Name"]
