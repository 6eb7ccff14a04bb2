"""What the database itself keeps true, whoever writes."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from catalog.models import Brand, Category, Image, Product, ProductText, Stock, Variant
from tests.factories import make_brand, make_category, make_product

pytestmark = pytest.mark.django_db


def test_the_price_is_the_lowest_of_the_variants() -> None:
    product = make_product(price="9.50", variants=2)
    Variant.objects.filter(sku=product.sku).update(price=Decimal("3.25"))
    product.refresh_from_db()
    assert product.price == Decimal("3.25")
    Variant.objects.filter(sku=product.sku).delete()
    product.refresh_from_db()
    assert product.price == Decimal("9.50")


def test_a_product_is_in_stock_while_a_piece_is_free() -> None:
    product = make_product(stock=0)
    assert not product.in_stock
    Stock.objects.filter(variant__product=product).update(on_hand=2)
    product.refresh_from_db()
    assert product.in_stock
    key = Variant.objects.get(product=product).pk
    assert Stock.objects.all().reserve({key: 2}) == {key: {"main": 2}}
    product.refresh_from_db()
    assert not product.in_stock


def test_deleting_the_stocked_variant_empties_the_stock() -> None:
    product = make_product(stock=1)
    other = Variant.objects.create(product=product, sku="EMPTY", price=1)
    Stock.objects.create(variant=other, on_hand=0)
    Variant.objects.exclude(pk=other.pk).delete()
    product.refresh_from_db()
    assert not product.in_stock


def test_a_variant_that_moves_changes_both_products() -> None:
    old, new = make_product(price="5.00", stock=0), make_product(price="7.00", stock=0)
    moving = Variant.objects.create(product=old, sku="MOVING", price=Decimal("3.00"))
    Stock.objects.create(variant=moving, on_hand=1)
    Variant.objects.filter(pk=moving.pk).update(product=new)
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.price, old.in_stock) == (Decimal("5.00"), False)
    assert (new.price, new.in_stock) == (Decimal("3.00"), True)


def test_stock_and_images_that_move_change_both_products() -> None:
    old, new = make_product(stock=1), make_product(stock=0, images=0)
    url = old.image_url
    Stock.objects.filter(variant__product=new).delete()
    Stock.objects.filter(variant__product=old).update(variant=new.variants.get())
    Image.objects.filter(product=old).update(product=new)
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.in_stock, old.image_url) == (False, "")
    assert (new.in_stock, new.image_url) == (True, url)


def test_the_image_is_the_first_by_position() -> None:
    product = make_product(images=2)
    first = product.image_url
    Image.objects.create(product=product, url="https://images.example/zero.jpg", position=0)
    product.refresh_from_db()
    assert product.image_url == "https://images.example/zero.jpg"
    Image.objects.filter(position=0).delete()
    product.refresh_from_db()
    assert product.image_url == first
    Image.objects.filter(product=product).delete()
    product.refresh_from_db()
    assert product.image_url == ""


def test_the_version_counts_real_changes_only() -> None:
    product = make_product()
    version, moved = product.version, product.updated_at
    Product.objects.filter(pk=product.pk).update(title=product.title)
    product.save()
    product.refresh_from_db()
    assert (product.version, product.updated_at) == (version, moved)
    Product.objects.filter(pk=product.pk).update(title="New", version=99)
    product.refresh_from_db()
    assert product.version == version + 1
    assert product.updated_at > moved


def test_a_changed_text_is_a_change_of_its_product() -> None:
    product = make_product(description="Good.")
    version, moved = product.version, product.updated_at
    ProductText.objects.filter(pk=product.pk).update(description="Good.")
    product.refresh_from_db()
    assert (product.version, product.updated_at) == (version, moved)
    ProductText.objects.filter(pk=product.pk).update(seo_title="Better")
    product.refresh_from_db()
    assert product.version == version + 1
    assert product.updated_at > moved


def test_a_category_path_follows_its_parent() -> None:
    tea = make_category("Food", "Drinks", "Tea")
    food = Category.objects.get(slug="food")
    assert tea.path.startswith(food.path)
    home = make_category("Home")
    Category.objects.filter(slug="food-drinks").update(parent=home)
    tea.refresh_from_db()
    assert tea.path.startswith(home.path)
    assert list(Category.objects.subtree("home").values_list("slug", flat=True)) == [
        "food-drinks",
        "food-drinks-tea",
        "home",
    ]
    # Of the tree below nothing that anybody sees has changed.
    assert (tea.version, Category.objects.get(slug="food-drinks").version) == (1, 2)


def test_a_breadcrumb_follows_names_and_moves() -> None:
    tea = make_category("Food", "Drinks > Hot", "Tea")
    assert tea.breadcrumb == r"Food > Drinks \> Hot > Tea"
    food, drinks = tea.parent.parent, tea.parent  # type: ignore[union-attr]  # it has them
    # Both at once: the lower one in the first half of the statement, or in the second.
    food.name, drinks.name = "Groceries", "Drinks"
    Category.objects.bulk_update([drinks, food], ["name"])
    make_category("Home")
    assert list(Category.objects.order_by("pk").values_list("breadcrumb", flat=True)) == [
        "Groceries", "Groceries > Drinks", "Groceries > Drinks > Tea", "Home",
    ]  # fmt: skip
    version = Category.objects.get(pk=tea.pk).version
    drinks.parent = Category.objects.get(name="Home")
    drinks.save()  # with the breadcrumb of before
    Category.objects.filter(pk=food.pk).update(breadcrumb="wrong")
    assert list(Category.objects.order_by("pk").values_list("breadcrumb", flat=True)) == [
        "Groceries", "Home > Drinks", "Home > Drinks > Tea", "Home",
    ]  # fmt: skip
    assert Category.objects.get(pk=tea.pk).version == version


def test_a_category_cannot_stand_below_itself() -> None:
    tea = make_category("Food", "Drinks", "Tea")
    with pytest.raises(IntegrityError), transaction.atomic():
        Category.objects.filter(slug="food").update(parent=tea)


def test_search_finds_words_of_sku_title_brand_and_description() -> None:
    lamp = make_product(title="Brass Lamp", brand=make_brand("Oléo"), sku="LMP-1", description="Burns oil.")
    make_product(title="Chair")
    for words in ("brass", "BRAS lamp", "oléo", "burns", "lmp-1", "lmp"):
        assert list(Product.objects.matching(words)) == [lamp], words
    Brand.objects.update(name="Ferro")
    Product.objects.filter(pk=lamp.pk).update(title="Steel Lamp")
    ProductText.objects.filter(pk=lamp.pk).update(description="Runs on current.")
    assert list(Product.objects.matching("steel ferro current")) == [lamp]
    assert not Product.objects.matching("brass").exists()


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (Product, {"rating": Decimal("5.01")}),
        (Product, {"status": "gone"}),
        (Product, {"compare_at_price": Decimal("-1")}),
        (Variant, {"price": Decimal("-0.01")}),
        (Stock, {"reserved": 9}),
    ],
)
def test_the_database_refuses_impossible_values(model: type[Product], change: dict[str, object]) -> None:
    make_product()
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(**change)


def test_deleting_a_product_takes_what_belongs_to_it() -> None:
    make_product().delete()
    assert not any(model.objects.exists() for model in (Variant, Stock, Image, ProductText))
