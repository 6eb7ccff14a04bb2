"""Facets, searches and filters with orderings: ours at most and at fewest rows, and beside GROUP BY.

`python -m tests.benchmarks.finding` prepares a database that seed.py has filled without triggers: it declares the
attributes, and counts tallies and words.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from statistics import median
from typing import Any

import django
import psycopg

from tests.benchmarks.contestants import ROOT, Server, build_environment
from tests.benchmarks.measure import Samples, Target
from tests.benchmarks.writing import BULK, WritePlan, Writer, run_round

LIST, FACETS = "/api/v1/products/", "/api/v1/products/facets/"
SIX = "facets=brand,category,price,rating,in_stock,attr.color"
# Of a million products it has 33,000, in ten categories below it.
CATEGORY = "category=category-7"
SLIP, TYPED = "search=coton+candel", "suggest/?q=cotton+ca"

NEWEST, SLOWEST = "newest first", "slowest of the combinations"
COMBINATIONS = {
    f"{CATEGORY}&{filters}&ordering={ordering}"
    for filters, ordering in product(
        (
            "brand=brand-7", "price_min=1000&price_max=5000", "attr.color=Olive", "in_stock=true", "rating_min=4",
            "on_sale=true",
        ),
        ("-created_at", "price", "-rating", "title"),
    )
}  # fmt: skip


def list_targets(servers: Mapping[str, Server]) -> list[Target]:
    """`tenfold` has as many rows as the peers, `most` the most, and `fewest` the fewest."""
    ours, most, fewest = (servers[name] for name in ("tenfold", "most", "fewest"))
    targets = [
        Target("category", ours, f"{LIST}?{CATEGORY}"),
        Target("category with six facets", ours, f"{LIST}?{CATEGORY}&{SIX}"),
        Target("six facets", most, f"{FACETS}?{SIX}"),
        Target("six facets, fewest", fewest, f"{FACETS}?{SIX}"),
        Target("six facets of 20,000 and more", most, f"{FACETS}?{SIX}&price_min=1000&price_max=5000"),
        Target(NEWEST, most, LIST),
        Target("slip", most, f"{LIST}?{SLIP}"),
        Target("slip, fewest", fewest, f"{LIST}?{SLIP}"),
        Target("suggest", most, LIST + TYPED),
        Target("detail, most", most, f"{LIST}7/"),
        Target("six facets, ours", ours, f"{FACETS}?{SIX}"),
        Target("six facets of a category, ours", ours, f"{FACETS}?{CATEGORY}&{SIX}"),
    ]
    if "fastapi" in servers:
        targets += [
            Target("six facets, GROUP BY", servers["fastapi"], "/facets"),
            Target("six facets of a category, GROUP BY", servers["fastapi"], "/facets?category=category-7"),
        ]
    return targets + [Target(query, most, f"{LIST}?{query}") for query in sorted(COMBINATIONS)]


def find_slowest(samples: Samples) -> Samples:
    """The samples of the combination with the longest answers."""
    return {
        SLOWEST: max((samples[name] for name in COMBINATIONS), key=lambda found: median(s.median_ms for s in found))
    }


# -- writes with what is derived for finding, and without

DERIVED, UNDERIVED = "bulk upsert with tallies and words", "bulk upsert without"
TRIGGERS = ("tally_insert", "tally_update", "tally_delete", "words_inserted", "words_updated", "words_deleted")


def measure_derived(database: str, writer: Writer, plan: WritePlan, roots: tuple[int, int]) -> Samples:
    samples: Samples = {DERIVED: [], UNDERIVED: []}
    with psycopg.connect(database, autocommit=True) as connection:
        numbers = iter(range(10**9))
        for number, (name, word) in product(range(plan.rounds + 1), ((DERIVED, "ENABLE"), (UNDERIVED, "DISABLE"))):
            for trigger in TRIGGERS:
                connection.execute(f"ALTER TABLE catalog_product {word} TRIGGER {trigger}")  # type: ignore[call-overload]  # ours
            sample = run_round(lambda: send(writer, numbers, BULK), BULK, roots)
            samples[name] += [sample] if number else []
        for trigger in TRIGGERS:
            connection.execute(f"ALTER TABLE catalog_product ENABLE TRIGGER {trigger}")  # type: ignore[call-overload]  # ours
    return samples


def send(writer: Writer, numbers: Iterator[int], rows: int) -> None:
    items = [make_product(next(numbers)) for _ in range(rows)]
    writer.connection.close()  # the server may have closed it while the processes became idle
    writer.post("/api/v1/products/bulk/", {"mode": "upsert", "items": items}, 200)


def make_product(number: int) -> dict[str, Any]:
    """With a brand, a category and five attributes, none of them like its neighbour's."""
    return {
        "sku": f"FOUND-{number}",
        "title": f"{number % 89} Oak {'abcdefg'[number % 7]} Chair",
        "brand": f"brand-{1 + number % 500}",
        "category": f"category-{1 + (31 + number % 300) % 30}-{31 + number % 300}",
        "rating": f"{1 + number % 4}.50",
        "attributes": {
            "color": ["Olive", "Ivory", "Rust", "Navy"][number % 4], "material": f"Material {number % 7}",
            "collection": f"Collection {number % 10}", "weight": 50 + number % 900, "organic": number % 3 == 0,
        },
        "variants": [{"sku": f"FOUND-{number}-S", "price": f"{5 + number % 900}.50", "on_hand": number % 8}],
        "images": [{"url": f"https://images.example/{number}.jpg", "alt": "Front"}],
    }  # fmt: skip


# -- what triggers would have counted

WORDS = """
INSERT INTO catalog_word_change (words, products)
SELECT title_key, count(*) FROM catalog_product WHERE status = 'active' GROUP BY title_key"""
ATTRIBUTES = {"color": "text", "material": "text", "collection": "text", "weight": "number", "organic": "boolean"}


def prepare(database: str, say: Callable[[str], None]) -> None:
    say("counting tallies and words")
    command = [sys.executable, "-m", "tests.benchmarks.finding"]
    subprocess.run(command, cwd=ROOT, env=os.environ | build_environment(database), check=True)


def count_all() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection

    from catalog.models import Attribute
    from catalog.search.vocabulary import count_words
    from catalog.tallies.folding import recount

    for name, type_ in ATTRIBUTES.items():
        Attribute.objects.get_or_create(name=name, type=type_)
    with connection.cursor() as cursor:
        cursor.execute(WORDS)
        cursor.execute("UPDATE catalog_word_fill SET last = 0, most = 0")
    while count_words():
        pass
    print(json.dumps({"tallies": recount()}))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) catalog_tally, catalog_tallychange, catalog_word, catalog_word_slip")


if __name__ == "__main__":
    count_all()
