"""Samples in, ratios beside what was promised out. A ratio is taken within each round; its median is what counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.contestants import ADMIN
from tests.benchmarks.finding import DERIVED, NEWEST, SLOWEST, UNDERIVED
from tests.benchmarks.measure import Sample, Samples
from tests.benchmarks.storing import BARE, COMPILED, FIELDS_COMPILED, FIELDS_STORED, IMPORT, STORED, WITH, WITHOUT
from tests.benchmarks.streaming import (
    API_ALONE,
    API_BESIDE,
    CSV_COLUMNS,
    CSV_DRF,
    CSV_OBJECTS,
    CSV_PSQL,
    CSV_STREAM,
    FIRST_BYTE,
    FIRST_EMPTY,
    NDJSON_PSQL,
    NDJSON_STREAM,
)
from tests.benchmarks.writing import MANY, ONE, PRICES


@dataclass(frozen=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        known = list(values)
        return cls(median(known), min(known), max(known))


@dataclass(frozen=True)
class Promise:
    """A row of the table: `upper` over (or less) `lower` in `unit`, a field of Sample, at least or at most `limit`."""

    name: str
    upper: str
    lower: str
    unit: str
    limit: float
    at_least: bool = True
    is_difference: bool = False

    def keeps(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Figure:
    promise: Promise
    value: Spread

    @property
    def is_kept(self) -> bool:
        return self.promise.keeps(self.value.median)


RATE, TIME, CPU, DATABASE_CPU, TAIL = "rate", "median_ms", "server_ms", "postgres_ms", "tail_ms"

PROMISES = (
    Promise("ours / FastAPI + SQLAlchemy + fastapi-pagination, page", "tenfold", "FastAPI, page", RATE, 30),
    Promise("ours / FastAPI, cursor as documented (it counts)", "tenfold", "FastAPI, cursor", RATE, 30),
    Promise("ours / FastAPI, cursor with its count switched off", "tenfold", "FastAPI, cursor uncounted", RATE, 20),
    Promise("ours / tuned DRF with its cursor pages", "tenfold", "DRF, tuned", RATE, 35),
    Promise("ours / django-ninja with cursor pages", "tenfold", "django-ninja, cursor", RATE, 8),
    Promise("ours / django-ninja with page numbers", "tenfold", "django-ninja, page", RATE, 8),
    Promise("ours / django-bolt with cursor pages", "tenfold", "django-bolt, cursor", RATE, 18),
    Promise("ours / django-bolt with page numbers", "tenfold", "django-bolt, page", RATE, 20),
    Promise("ours / bare WSGI + psycopg with the same SQL", "tenfold", "bare WSGI + psycopg", RATE, 0.6),
    Promise("server CPU a request: ours / bare WSGI", "tenfold", "bare WSGI + psycopg", CPU, 2.5, False),
    Promise("row at nine tenths of the table / first page, time", "deep page", "first page", TIME, 1.1, False),
    Promise("most rows / fewest rows, time of a page", "first page", "fewest rows", TIME, 1.3, False),
    Promise("page with count=bounded / without, time", "count=bounded", "count=none", TIME, 1.5, False),
    Promise("browsable page, most rows / fewest rows, time", "browsable", "browsable, fewest", TIME, 1.3, False),
    *(
        Promise(
            f"admin, {page}: most rows / fewest rows, time",
            f"admin, {page}",
            f"admin, {page}, fewest",
            TIME,
            1.2,
            False,
        )
        for page in ADMIN
    ),
    Promise("detail by id: ours / tuned DRF", "detail", "detail, tuned DRF", RATE, 3),
    Promise("detail by id: ours / django-bolt", "detail", "detail, django-bolt", RATE, 3),
    Promise("logging and metrics / neither, requests per second", "watched", "unwatched", RATE, 0.97),
    Promise("the same, of cached pages", "watched, cached", "unwatched, cached", RATE, 0.97),
    Promise("p99: log lines to a slow disk / to a fast one", "slow disk", "fast disk", TAIL, 1.1, False),
    Promise("p99 with a slow disk: a plain handler / ours", "slow disk, plain handler", "slow disk", TAIL, 2),
    *(
        Promise(f"hit / bare answer of the same bytes, {kind}", f"hits, {kind}", f"bare answer, {kind}", RATE, 0.85)
        for kind in ("identity", "gzip", "304")
    ),
    *(
        # Rates depend on who gets the second processor, CPU doesn't.
        Promise(f"server CPU: hit / bare answer, {kind}", f"hits, {kind}", f"bare answer, {kind}", CPU, 1.18, False)
        for kind in ("identity", "gzip", "304")
    ),
    *(
        Promise(f"hit with log lines / bare answer, {kind}", f"hits, logged, {kind}", f"bare answer, {kind}", RATE, 0.7)
        for kind in ("identity", "gzip")
    ),
    *(
        Promise(
            f"hit from Redis / bare Redis GET, {kind}", f"Redis hits, {kind}", f"bare Redis GET, {kind}", RATE, 0.75
        )
        for kind in ("identity", "gzip")
    ),
    Promise("hit / FastAPI + fastapi-pagination, page, uncached", "hits, identity", "FastAPI, page", RATE, 400),
    Promise("hit / FastAPI with a Redis cache", "hits, identity", "FastAPI with a Redis cache", RATE, 3),
    Promise("hit / cache_page on django-redis", "hits, identity", "Django's cache_page on django-redis", RATE, 6),
    Promise("bulk upsert of 1,000 / single POSTs, rows per second", MANY, ONE, RATE, 10),
    Promise("page with six facets / without, a category", "category with six facets", "category", TIME, 2.5, False),
    Promise("six facets, most rows / fewest rows, time", "six facets", "six facets, fewest", TIME, 1.5, False),
    Promise("six facets / newest first, time", "six facets", NEWEST, TIME, 10, False),
    Promise("search with a slip, p99: most rows / fewest rows", "slip", "slip, fewest", TAIL, 2, False),
    Promise("suggest / detail by id, p99", "suggest", "detail, most", TAIL, 10, False),
    Promise("slowest combination of filters and ordering / newest first, time", SLOWEST, NEWEST, TIME, 10, False),
    *(
        Promise(f"{facets}: ours / a GROUP BY each (SQLAlchemy)", f"{facets}, ours", f"{facets}, GROUP BY", RATE, 10)
        for facets in ("six facets", "six facets of a category")
    ),
    Promise("bulk upsert with tallies and words / without, rows per second", DERIVED, UNDERIVED, RATE, 0.85),
    Promise("CSV stream / psql \\copy of the same SELECT", CSV_STREAM, CSV_PSQL, RATE, 0.85),
    Promise("NDJSON stream / psql \\copy of the compiled JSON", NDJSON_STREAM, NDJSON_PSQL, RATE, 1.8),
    Promise("CSV stream / DRF + csv.writer over .iterator()", CSV_STREAM, CSV_DRF, RATE, 10),
    Promise("CSV stream / FastAPI streaming objects from SQLAlchemy", CSV_STREAM, CSV_OBJECTS, RATE, 8),
    Promise("CSV stream / the same of columns, without an object a row", CSV_STREAM, CSV_COLUMNS, RATE, 8),
    Promise("first byte at most rows, ms over an empty export", FIRST_BYTE, FIRST_EMPTY, TIME, 50, False, True),
    Promise("PostgreSQL's CPU of a page: stored rows / compiled", STORED, COMPILED, DATABASE_CPU, 0.35, False),
    Promise("ours / bare WSGI + psycopg with the compiled SQL", STORED, BARE, RATE, 1.8),
    Promise("fields=id,title: with stored rows / without", FIELDS_STORED, FIELDS_COMPILED, RATE, 0.95),
    *(
        Promise(f"{what}: with stored rows / without", f"{what}, {WITH}", f"{what}, {WITHOUT}", RATE, least)
        for what, least in ((MANY, 0.85), (PRICES, 0.8), (IMPORT, 0.85))
    ),
    Promise("API's median while two exports run / without", API_BESIDE, API_ALONE, TIME, 2, False),
    Promise("API's p99 while two exports run / without", API_BESIDE, API_ALONE, TAIL, 3, False),
)

GROWTH = Promise("exports' peak memory, most rows less fewest, MiB", "most", "fewest", "bytes", 32, False, True)
MEMORY = Promise("server memory after many requests / after 100", "many", "100", "bytes", 1.1, False)
DISK = Promise("disk of the catalogue's tables: with stored rows / without", WITH, WITHOUT, "bytes", 1.6, False)


def compare(samples: Samples, promise: Promise) -> Figure:
    pairs = zip(samples[promise.upper], samples[promise.lower], strict=True)
    relate = subtract if promise.is_difference else divide
    return Figure(promise, Spread.of(relate(upper, lower, promise.unit) for upper, lower in pairs))


def subtract(upper: Sample, lower: Sample, unit: str) -> float:
    return getattr(upper, unit) - getattr(lower, unit)


def divide(upper: Sample, lower: Sample, unit: str) -> float:
    below: float = getattr(lower, unit)
    return getattr(upper, unit) / below if below else float("inf")


def compare_all(samples: Samples, sizes: Mapping[Promise, tuple[int, int]]) -> Sequence[Figure]:
    """Of everything that was measured; `sizes` are the two numbers of bytes of a promise, its `upper` first."""
    figures = [compare(samples, promise) for promise in PROMISES if {promise.upper, promise.lower} <= samples.keys()]
    return figures + [Figure(promise, Spread.of([relate_sizes(promise, *pair)])) for promise, pair in sizes.items()]


def relate_sizes(promise: Promise, upper: int, lower: int) -> float:
    return (upper - lower) / 2**20 if promise.is_difference else upper / lower
