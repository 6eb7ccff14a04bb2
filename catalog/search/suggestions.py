"""What a text that is being typed may become: products, brands, categories, and the text with its last word whole."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from catalog.models import Category
from catalog.querysets import ProductQuerySet
from catalog.search.corrections import LEAST_MS, correct
from catalog.search.queries import make_whole, search_hits
from catalog.search.vocabulary import GREATEST_LETTER
from catalog.search.words import Search, list_name_words, match_name, names_brand
from catalog.title_keys import Fold
from config.api.database.folding import fold
from config.api.database.statements import Statement
from config.api.database.time_limits import TimeLimit
from config.api.problems.errors import DEAR_MS, SearchTooDear

# Of each kind.
MOST_SUGGESTED = 10
# The titles whose words may end the text, and the names that are compared.
MOST_READ = 100
# Beside titles that begin with the text, so many hits are ranked. For each, PostgreSQL reads and compares a document:
# 1,000 of them, as a list has, took 92 ms of a million products, 200 took 10 ms, and 100 take 4.
MOST_HITS = 100
# The most words that are looked for as beginnings.
MOST_BEGUN = 3
WORD = re.compile(r"[^\W_]+")

# What is read: products, and names of categories.
type Rows = tuple[list[Any], list[tuple[str, str]]]

# Both in one round trip. The rows keep the order of their subselect.
BOTH = "SELECT 1 AS kind, p.* FROM ({products}) p UNION ALL SELECT 2, c.* FROM ({categories}) c"
PRODUCT, CATEGORY = 1, 2
EITHER = "SELECT * FROM ({hits}) h UNION ALL SELECT * FROM ({titles}) t"


def suggest(text: str, products: ProductQuerySet) -> dict[str, Any]:
    """`{"products", "brands", "categories", "phrases"}`, at most MOST_SUGGESTED of each, the best first.

    Two queries; a few more if no product matches and the text is corrected. `products` are those that the caller sees.
    All of them have the time of one search. If it isn't enough, the rest is left out: while somebody types, no answer
    is worth an error.
    """
    end = time.monotonic() + DEAR_MS / 1000
    search = products.read_search(kept := drop_letter(text))
    rows, categories = read_in_time(products, search, end)
    corrected = None if rows else correct_in_time(products, search, end)
    if corrected:
        search, (rows, categories) = corrected, read_in_time(products, corrected, end)
    elif kept != text:
        rows = prefer(text, rows)
    return {
        "products": [{"id": key, "slug": slug, "title": title} for key, slug, title in rows[:MOST_SUGGESTED]],
        "brands": list_named(search.named),
        "categories": list_named(categories),
        "phrases": list_phrases(corrected.text if corrected else text.strip(), rows, bool(corrected)),
    }


def drop_letter(text: str) -> str:
    """`oak a` → `oak`: too many words begin with one letter to look for all of them."""
    words = list(WORD.finditer(text))
    is_one = len(words) > 1 and len(words[-1][0]) == 1 and words[-1][0].isascii()
    return text[: words[-1].start()] if is_one else text


def prefer(text: str, rows: list[Any]) -> list[Any]:
    """Those of the rows in whose title a word begins like the last one of the text, if there are any."""
    last = fold((WORD.findall(text) or [""])[-1])
    return [row for row in rows if any(fold(word).startswith(last) for word in WORD.findall(row[2]))] or rows


def read_in_time(products: ProductQuerySet, search: Search, end: float) -> Rows:
    try:
        return read_rows(products, search, TimeLimit(find_left(end), SearchTooDear))
    except SearchTooDear:
        return [], []


def find_left(end: float) -> int:
    """The milliseconds until `end`, at least LEAST_MS."""
    return max(LEAST_MS, int(1000 * (end - time.monotonic())))


def correct_in_time(products: ProductQuerySet, search: Search, end: float) -> Search | None:
    def finds(corrected: Search, milliseconds: int) -> bool:
        return products.finds(complete(corrected), milliseconds)

    with connections[products.db].cursor() as cursor:
        return correct(search, cursor, products.read_search, finds, int(1000 * (end - time.monotonic())))


def complete(search: Search) -> Search:
    """The same search; of more than MOST_BEGUN words none is looked for as the beginning of others, only as a part.

    Each beginning collects all products that have it: eight that never meet took 420 ms of a million products, which
    PostgreSQL doesn't stop in time, and as whole words 20.
    """
    return search if len(search.words) <= MOST_BEGUN else make_whole(search)


def read_rows(products: ProductQuerySet, search: Search, limit: TimeLimit) -> Rows:
    """Ids, slugs and titles of products; slugs and names of the categories in whose name each word begins a word."""
    matching = find_products(products, search).by_rank(search).values_list("pk", "slug", "title")
    first, second = (Statement.compile(rows[:MOST_READ]) for rows in (matching, find_categories(search)))
    assert first
    assert second
    both = BOTH.format(products=first.sql, categories=second.sql)
    parameters = (*first.parameters, *second.parameters)
    with replace(first, sql=both, parameters=parameters, time_limit=limit).run() as cursor:
        found = cursor.fetchall()
    named = [row[2:] for row in found if row[0] == CATEGORY and is_named(search, row[3])]
    return [row[1:] for row in found if row[0] == PRODUCT], named


def find_products(products: ProductQuerySet, search: Search) -> ProductQuerySet:
    """Products whose titles begin with the text, and MOST_HITS that match its words.

    If many match, the hits are any of them. But titles that begin so are what people mean first, and an index has them.
    """
    begun = products.only_active().order_by("title_key", "pk").values("pk")
    folded = search.folded
    titles = Statement.compile(begun.filter(title_key__gte=folded, title_key__lt=folded + GREATEST_LETTER)[:MOST_READ])
    assert titles
    hits = search_hits(connections[products.db].vendor, complete(search), MOST_HITS)
    sql = EITHER.format(hits=hits.sql, titles=titles.sql)
    return products.filter(pk__in=RawSQL(sql, (*hits.params, *titles.parameters)))  # noqa: S611 (no text of a caller is in the SQL)


def find_categories(search: Search) -> QuerySet[Any, Any]:
    rows = Category.objects.alias(folded=Fold("name"))
    for word in search.words:
        rows = rows.filter(match_name(word))
    return rows.order_by("name", "pk").values_list("pk", "slug", "name")


def is_named(search: Search, name: str) -> bool:
    words = list_name_words(fold(name))
    return all(names_brand(word, words) for word in search.words)


def list_named(rows: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"slug": slug, "name": name} for slug, name in sorted(rows, key=itemgetter(1))][:MOST_SUGGESTED]


def list_phrases(text: str, rows: Sequence[Any], is_corrected: bool) -> list[str]:
    """The text with its last word as titles have it, the most frequent first. A corrected text is the first phrase."""
    if not (written := list(WORD.finditer(text))):
        return []  # signs of vowels alone, which a search takes for words
    last = written[-1]
    begun = fold(last[0])
    words = Counter(
        word for *_, title in rows for word in {*WORD.findall(title.lower())} if fold(word).startswith(begun)
    )
    whole = [text[: last.start()] + word for word, _ in words.most_common() if fold(word) != begun]
    return [*([text] if is_corrected else []), *whole][:MOST_SUGGESTED]
