"""The start page, `/`: what Tenfold is, links to its parts, and figures of this catalogue.

Each figure reads a bounded number of rows, so the page costs the same at a thousand and at ten million products. The
process keeps the page until one of the tables changes that it was read from. A request that makes it anew counts in the
rate of its address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Model, Q
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from catalog.models import Category, Product
from config.api.access.throttling import limit_stranger
from config.api.admin.cells import find_address
from config.api.freshness.leases import FRESHNESS, Stamp
from config.api.freshness.tables import note_reads
from config.api.reads.addresses import find_origin
from config.api.reads.counting import BOUND, count_at_most, estimate_rows
from config.process.bounded import BoundedMap

# The models whose number of rows the page shows, and their labels. They must be logged tables: the figures are kept
# until the change log moves.
TABLES: dict[type[Model], str] = {}
# The chart reads at most this many products, in stripes over the whole table: the newest may all be in one category.
SAMPLE = 5_000
STRIPES = 20
# A sample of at least this many products may be only a part of the catalogue, and the page says so.
TAKEN_FROM = 1_000
# The chart's number of bars, without "Everything else".
BARS = 8
# Pictures of the newest products, among so many of them. Those without a picture are left out.
PICTURES, AMONG = 8, 40
# The first ten digits of Category.path are the id of the top-level category.
ROOT_DIGITS = 10

type Figures = dict[str, Any]


def register_tables(tables: Mapping[type[Model], str]) -> None:
    TABLES.update(tables)


class KeptPage(NamedTuple):
    stamp: Stamp
    page: str


# By origin, with which the addresses of pictures and commands begin. Most servers have one or two.
PAGES: BoundedMap[str, KeptPage] = BoundedMap(16)


@require_safe
def show_home(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(read_page(request))
    response["Cache-Control"] = "no-cache"
    return response


def read_page(request: HttpRequest) -> str:
    """The kept page, if it is current. Else a new one; raises TooManyRequests."""
    origin, lease = find_origin(request), FRESHNESS.read()
    kept = PAGES.get(origin)
    if lease and kept and kept.stamp.is_current(lease):
        return kept.page
    limit_stranger(request.META)
    with note_reads() as reads:
        page = write_page(request, origin)
    if lease and reads.are_followed:
        PAGES.keep(origin, KeptPage(Stamp(lease.epoch, lease.position, reads.tables), page))
    return page


def write_page(request: HttpRequest, origin: str) -> str:
    figures = collect_figures()
    pictures = [row | {"address": find_address(row["image_url"])} for row in figures["pictures"]]
    examples = list_examples(origin, figures)
    more = {"pictures": pictures, "links": list_links(), "examples": examples, "version": settings.VERSION}
    return render_to_string("home.html", figures | more, request)


def list_links() -> list[tuple[str, str, str]]:
    """`(address, name, description)` of each link."""
    return [
        (reverse("root"), "Browsable API", "Walk through lists, filters and forms in this browser."),
        (reverse("docs"), "Documents", "Every endpoint, to try out on the page (Swagger UI)."),
        (reverse("redoc"), "Reference", "The same, made for reading (ReDoc)."),
        (reverse("schema"), "OpenAPI 3.1", "The schema that programs and generators read."),
        (reverse("admin:index"), "Admin", "Products, stock, orders and users, for staff."),
        (reverse("readyz"), "Readiness", "Database, migrations, cache and worker, as probes see them."),
    ]


def list_examples(base: str, figures: Figures) -> list[str]:
    """Three commands to paste; the second one filters by a category of this catalogue if it has one."""
    slugs = [bar["slug"] for bar in figures["bars"] if bar["slug"]]
    narrowed = f"category={slugs[0]}&ordering=price" if slugs else "in_stock=true&ordering=price"
    return [
        f"curl '{base}/api/v1/products/?page_size=3&expand=brand,images'",
        f"curl '{base}/api/v1/products/?{narrowed}&page=1'",
        f"curl -H 'Authorization: Token …' '{base}/api/v1/exports/products.ndjson' -o products.ndjson",
    ]


# -- figures -----------------------------------------------------------------------------------------------------


def collect_figures() -> Figures:
    """`{"counts": [{"name": "Products", "text": "about 1,000,000"}, …], "bars": […], "pictures": […], …}`."""
    sizes = {model: describe_size(model) for model in TABLES}
    counts = [{"name": name, "text": sizes[model]} for model, name in TABLES.items()]
    bars = list_bars()
    sampled = sum(bar["number"] for bar in bars)
    return {
        "counts": counts,
        "bars": bars,
        "sample": describe_sample(sampled),
        "pictures": list_pictures(),
        "empty": sizes[Product] == "0",
    }


def list_pictures() -> list[dict[str, Any]]:
    """`[{"pk": 7, "title": "Oak Chair", "image_url": "/pictures/…"}, …]` of the newest active products."""
    newest = Product.objects.only_active().order_by("-created_at", "-pk").values("pk", "title", "image_url")[:AMONG]
    return [dict(row) for row in newest if row["image_url"]][:PICTURES]


def describe_size(model: type[Model]) -> str:
    """The exact number up to 10,000 rows, then an estimate rounded to three digits."""
    rows = model._default_manager.all()
    number = count_at_most(rows, BOUND)
    if number <= BOUND:
        return f"{number:,}"
    # SQLite has no estimate. Its greatest key is one lookup; it counts deleted rows too.
    guess = estimate_rows(rows)[0] if connection.vendor == "postgresql" else rows.aggregate(most=Max("pk"))["most"]
    # The planner's estimate misses rows that were added since the last ANALYZE.
    return f"about {round_to_three(guess):,}" if guess > BOUND else f"more than {BOUND:,}"


def describe_sample(number: int) -> str:
    words = "active products, taken from the whole table" if number >= TAKEN_FROM else "active products"
    return f"{number:,} {words}"


def round_to_three(number: int) -> int:
    return round(number, 3 - len(str(number)))


@dataclass
class Bar:
    """One top-level category, and the number of sampled products in it."""

    name: str
    slug: str
    number: int

    def as_dict(self, total: int, greatest: int) -> dict[str, Any]:
        """`share` is the percentage of all, `width` that of the greatest bar."""
        share, width = 100 * self.number / total, 100 * self.number / greatest
        return {"name": self.name, "slug": self.slug, "number": self.number, "share": share, "width": width}


def list_bars() -> list[dict[str, Any]]:
    """The BARS largest top-level categories, the largest first, then "Everything else"."""
    shares = count_by_root()
    roots = {row.pk: row for row in Category.objects.filter(pk__in=[key for key in shares if key])}
    bars = [Bar(roots[key].name, roots[key].slug, number) for key, number in shares.items() if key in roots]
    first, total = bars[:BARS], sum(shares.values())
    rest = total - sum(bar.number for bar in first)
    first += [Bar("Everything else", "", rest)] if rest else []
    greatest = max((bar.number for bar in first), default=0)
    return [bar.as_dict(total, greatest) for bar in first]


def count_by_root() -> dict[int | None, int]:
    """The sample's active products, counted by the id of their top-level category, largest first; two queries."""
    sample = choose_sample()
    if sample is None:
        return {}
    rows = Product.objects.only_active().filter(sample).values(root=Left("category__path", ROOT_DIGITS))
    counted = rows.annotate(number=Count("pk")).order_by("-number", "root").values_list("root", "number")
    return {int(root) if root else None: number for root, number in counted}


def choose_sample() -> Q | None:
    """Ranges of keys that hold at most SAMPLE products; None if there are no products."""
    ends = Product.objects.aggregate(low=Min("pk"), high=Max("pk"))
    low, high = ends["low"], ends["high"]
    if low is None or high - low < SAMPLE:
        return Q(pk__range=(low, high)) if low is not None else None
    step, width = (high - low + 1) / STRIPES, SAMPLE // STRIPES
    starts = [low + int(step * number) for number in range(STRIPES)]
    return reduce(or_, [Q(pk__range=(start, start + width - 1)) for start in starts])
