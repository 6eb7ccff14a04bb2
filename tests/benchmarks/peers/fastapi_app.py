"""FastAPI with SQLAlchemy (async, asyncpg) and fastapi-pagination: pages, cursors, and cursors without their count."""

import csv
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from fastapi_pagination import Page, add_pagination
from fastapi_pagination.cursor import CursorPage
from fastapi_pagination.customization import CustomizedPage, UseIncludeTotal
from fastapi_pagination.ext.sqlalchemy import apaginate
from pydantic import BaseModel, BeforeValidator, ConfigDict
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from tests.benchmarks.peers.tables import FACETS, select_cells, select_facet, select_objects, select_products

engine = create_async_engine(
    os.environ["BENCH_DATABASE"].replace("postgres://", "postgresql+asyncpg://"),
    pool_size=10,
    json_deserializer=orjson.loads,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class BrandOut(Row):
    id: int
    slug: str
    name: str
    version: int
    created_at: datetime
    updated_at: datetime


class CategoryOut(BrandOut):
    parent: Annotated[str | None, BeforeValidator(lambda category: getattr(category, "slug", category))]


class ImageOut(Row):
    id: int
    url: str
    alt: str
    position: int
    width: int | None
    height: int | None
    thumbnails: dict[str, str] | None


class ProductOut(Row):
    id: int
    sku: str
    slug: str
    title: str
    brand: BrandOut | None
    category: CategoryOut | None
    status: str
    currency: str
    price: Decimal
    compare_at_price: Decimal | None
    lowest_price_30_days: Decimal | None
    in_stock: bool
    rating: Annotated[Decimal | None, BeforeValidator(lambda rating: rating or None)]
    image_url: str
    attributes: dict[str, Any]
    images: list[ImageOut]
    version: int
    created_at: datetime
    updated_at: datetime


async def open_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(open_session)]
UncountedPage = CustomizedPage[CursorPage, UseIncludeTotal(False)]


@asynccontextmanager
async def open_cache(app: FastAPI) -> AsyncIterator[None]:
    FastAPICache.init(RedisBackend(Redis.from_url(os.environ["BENCH_REDIS"])), prefix="fastapi")
    yield


app = FastAPI(lifespan=open_cache)


@app.get("/page")
async def list_by_page(session: Session) -> Page[ProductOut]:
    return await apaginate(session, select_products())


@app.get("/cursor")
async def list_by_cursor(session: Session) -> CursorPage[ProductOut]:
    return await apaginate(session, select_products())


@app.get("/uncounted")
async def list_uncounted(session: Session) -> UncountedPage[ProductOut]:  # type: ignore[valid-type]  # made above
    return await apaginate(session, select_products())


@app.get("/cached", response_model=UncountedPage[ProductOut])  # the decorator's own annotation isn't seen
@cache(expire=600)
async def list_cached(session: Session) -> UncountedPage[ProductOut]:  # type: ignore[valid-type]  # made above
    return await apaginate(session, select_products())


@app.get("/facets")
async def list_facets(session: Session, category: str = "") -> dict[str, list[list[Any]]]:
    """The twenty most frequent values of each facet, by a GROUP BY each."""
    found = {name: await session.execute(select_facet(name, category)) for name in FACETS}
    return {name: [list(row) for row in rows] for name, rows in found.items()}


CELLS = (
    "id", "sku", "slug", "title", "brand", "category", "status", "currency", "price", "compare_at_price",
    "lowest_price_30_days", "in_stock", "rating", "image_url", "attributes", "version", "created_at", "updated_at",
)  # fmt: skip


@app.get("/export.csv")
async def export(upto: int) -> StreamingResponse:
    return StreamingResponse(write_csv(upto), media_type="text/csv")


async def write_csv(upto: int) -> AsyncIterator[str]:
    """Rows of columns, not objects, a thousand at a time, through csv.writer."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(CELLS)
    async with sessions() as session:
        rows = await session.stream(select_cells(upto), execution_options={"yield_per": 1000})
        async for part in rows.partitions():
            writer.writerows(map(write_row, part))
            yield lines.getvalue()
            lines.seek(0)
            lines.truncate()
    yield lines.getvalue()


@app.get("/objects.csv")
async def export_objects(upto: int) -> StreamingResponse:
    return StreamingResponse(write_objects(upto), media_type="text/csv")


async def write_objects(upto: int) -> AsyncIterator[str]:
    """The same of mapped objects with their brands and categories, as SQLAlchemy's own documentation streams them."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(CELLS)
    async with sessions() as session:
        rows = await session.stream_scalars(select_objects(upto), execution_options={"yield_per": 1000})
        async for part in rows.partitions():
            writer.writerows(write_row(read_object(product)) for product in part)
            yield lines.getvalue()
            lines.seek(0)
            lines.truncate()
    yield lines.getvalue()


def read_object(product: Any) -> list[Any]:
    slugs = {name: getattr(getattr(product, name), "slug", None) for name in ("brand", "category")}
    return [slugs[name] if name in slugs else getattr(product, name) for name in CELLS]


def write_row(row: Any) -> list[Any]:
    cells = list(row)
    cells[11] = "true" if cells[11] else "false"
    cells[12] = cells[12] or None
    cells[14] = orjson.dumps(cells[14]).decode()
    cells[16:] = (moment.isoformat() for moment in cells[16:])
    return cells


add_pagination(app)
