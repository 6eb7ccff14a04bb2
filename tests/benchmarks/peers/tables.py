"""The same tables for SQLAlchemy 2, and the statement that both of its peers page through."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Select, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, selectinload

DateTimeZone = DateTime(timezone=True)


class Base(DeclarativeBase):
    pass


class Versioned:
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTimeZone)
    updated_at: Mapped[datetime] = mapped_column(DateTimeZone)


class Brand(Versioned, Base):
    __tablename__ = "catalog_brand"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]


class Category(Versioned, Base):
    __tablename__ = "catalog_category"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("catalog_category.id"))
    slug: Mapped[str]
    name: Mapped[str]
    parent: Mapped["Category | None"] = relationship(remote_side="Category.id")


class Image(Base):
    __tablename__ = "catalog_image"
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("catalog_product.id"))
    url: Mapped[str]
    alt: Mapped[str]
    position: Mapped[int]
    width: Mapped[int | None]
    height: Mapped[int | None]
    thumbnails: Mapped[dict[str, str] | None] = mapped_column(JSONB)


class Product(Versioned, Base):
    __tablename__ = "catalog_product"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    slug: Mapped[str]
    title: Mapped[str]
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("catalog_brand.id"))
    category_id: Mapped[int | None] = mapped_column(ForeignKey("catalog_category.id"))
    status: Mapped[str]
    currency: Mapped[str]
    price: Mapped[Decimal]
    compare_at_price: Mapped[Decimal | None]
    lowest_price_30_days: Mapped[Decimal | None]
    in_stock: Mapped[bool]
    rating: Mapped[Decimal]
    image_url: Mapped[str]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    brand: Mapped[Brand | None] = relationship()
    category: Mapped[Category | None] = relationship()
    images: Mapped[list[Image]] = relationship(order_by=(Image.position, Image.id))


def select_products() -> Select[Any]:
    statement = select(Product).where(Product.status == "active")
    return statement.order_by(Product.created_at.desc(), Product.id.desc()).options(
        joinedload(Product.brand),
        joinedload(Product.category).joinedload(Category.parent),
        selectinload(Product.images),
    )


def select_cells(upto: int) -> Select[Any]:
    """Columns of an export, by id."""
    one = Product
    columns = (
        one.id, one.sku, one.slug, one.title, Brand.slug, Category.slug, one.status, one.currency, one.price,
        one.compare_at_price, one.lowest_price_30_days, one.in_stock, one.rating, one.image_url, one.attributes,
        one.version, one.created_at, one.updated_at,
    )  # fmt: skip
    statement = select(*columns).outerjoin(Product.brand).outerjoin(Product.category)
    return statement.where(Product.id <= upto).order_by(Product.id)


def select_objects(upto: int) -> Select[Any]:
    """The same as objects."""
    statement = select(Product).where(Product.id <= upto).order_by(Product.id)
    return statement.options(joinedload(Product.brand), joinedload(Product.category))


# The values of each facet. A category's are those of its products, not of those below it, which would cost more.
FACETS = {
    "brand": Product.brand_id,
    "category": Product.category_id,
    "price": func.width_bucket(Product.price, 0, 20_000, 20),
    "rating": func.floor(Product.rating),
    "in_stock": Product.in_stock,
    "attr.color": Product.attributes["color"].astext,
}


def select_facet(name: str, category: str) -> Select[Any]:
    """The most frequent values among the active products, of a category and those right below it if it has a slug."""
    key = FACETS[name].label("key")
    statement = select(key, func.count()).where(Product.status == "active", key.is_not(None))
    if category and name != "category":
        parent = select(Category.id).where(Category.slug == category).scalar_subquery()
        below = select(Category.id).where(or_(Category.id == parent, Category.parent_id == parent))
        statement = statement.where(Product.category_id.in_(below))
    return statement.group_by(key).order_by(func.count().desc()).limit(20)
