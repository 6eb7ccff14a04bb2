"""Flask with Flask-SQLAlchemy's own pagination, and orjson as its JSON provider."""

import os
from typing import Any

import orjson
from flask import Flask
from flask.json.provider import JSONProvider
from flask_sqlalchemy import SQLAlchemy

from tests.benchmarks.peers.tables import Base, Brand, Category, Image, Product, select_products


class OrjsonProvider(JSONProvider):
    def dumps(self, obj: Any, **options: Any) -> str:
        return orjson.dumps(obj, default=str, option=orjson.OPT_UTC_Z).decode()

    def loads(self, text: str | bytes, **options: Any) -> Any:
        return orjson.loads(text)


app = Flask(__name__)
app.json = OrjsonProvider(app)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["BENCH_DATABASE"].replace("postgres://", "postgresql+psycopg://")
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"json_deserializer": orjson.loads}
db = SQLAlchemy(app, model_class=Base)


def show_stamps(row: Any) -> dict[str, Any]:
    return {"version": row.version, "created_at": row.created_at, "updated_at": row.updated_at}


def show_brand(row: Brand) -> dict[str, Any]:
    return {"id": row.id, "slug": row.slug, "name": row.name} | show_stamps(row)


def show_category(row: Category) -> dict[str, Any]:
    parent = row.parent.slug if row.parent else None
    return {"id": row.id, "slug": row.slug, "name": row.name, "parent": parent} | show_stamps(row)


def show_image(row: Image) -> dict[str, Any]:
    size = {"width": row.width, "height": row.height, "thumbnails": row.thumbnails}
    return {"id": row.id, "url": row.url, "alt": row.alt, "position": row.position} | size


def show_product(row: Product) -> dict[str, Any]:
    return {
        "id": row.id,
        "sku": row.sku,
        "slug": row.slug,
        "title": row.title,
        "brand": show_brand(row.brand) if row.brand else None,
        "category": show_category(row.category) if row.category else None,
        "status": row.status,
        "currency": row.currency,
        "price": row.price,
        "compare_at_price": row.compare_at_price,
        "lowest_price_30_days": row.lowest_price_30_days,
        "in_stock": row.in_stock,
        "rating": row.rating or None,
        "image_url": row.image_url,
        "attributes": row.attributes,
        "images": [show_image(image) for image in row.images],
        **show_stamps(row),
    }


@app.get("/page")
def list_by_page() -> dict[str, Any]:
    page = db.paginate(select_products(), per_page=50)
    return {
        "results": [show_product(row) for row in page.items],
        "page": page.page,
        "pages": page.pages,
        "total": page.total,
    }
