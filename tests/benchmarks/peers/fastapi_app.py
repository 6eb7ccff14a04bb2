"""FastAPI with SQLAlchemy (async, asyncpg) and fastapi-pagination: pages, cursors, and cursors without their count."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI
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

from tests.benchmarks.peers.tables import select_products

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


add_pagination(app)
