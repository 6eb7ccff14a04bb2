"""What a text that is being typed may become: products, brands, categories, and the text with its last word whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from catalog.models import Brand, Category
from catalog.querysets import ProductQuerySet
from catalog.search.words import Search, list_name_words, match_name, names_brand
from catalog.title_keys import Fold
from config.api.database.folding import fold
from config.api.database.statements import Statement

# Of each kind.
MOST_SUGGESTED = 10
# The titles whose words may end the text, and the names that are compared.
MOST_READ = 100
WORD = re.compile(r"[^\W_]+")


def suggest(text: str, products: ProductQuerySet) -> dict[str, Any]:
    """`{"products", "brands", "categories", "phrases"}`, at most MOST_SUGGESTED of each, the best first.

    Four queries; a few more if no product matches and the text is corrected. `products` are those that the caller sees.
    """
    search = products.read_search(text)
    rows = read_products(products, search)
    corrected = None if rows else products.correct(search)
    search, rows = (corrected, read_products(products, corrected)) if corrected else (search, rows)
    return {
        "products": [{"id": key, "slug": slug, "title": title} for key, slug, title in rows[:MOST_SUGGESTED]],
        "brands": list_named(Brand.objects.all(), search),
        "categories": list_named(Category.objects.all(), search),
        "phrases": list_phrases(search.text, [title for *_, title in rows], bool(corrected)),
    }


def read_products(products: ProductQuerySet, search: Search) -> Sequence[Any]:
    """Ids, slugs and titles."""
    found = products.matching(search).by_rank(search).values_list("pk", "slug", "title")[:MOST_READ]
    statement = Statement.compile(found)
    assert statement is not None
    with statement.run() as cursor:
        rows: Sequence[Any] = cursor.fetchall()
    return rows


def list_named(rows: QuerySet[Any, Any], search: Search) -> list[dict[str, str]]:
    """The slugs and names of rows in whose name each word begins a word."""
    named = rows.annotate(folded=Fold("name"))
    for word in search.words:
        named = named.filter(match_name(word))
    found = named.order_by("name", "pk").values_list("slug", "name", "folded")[:MOST_READ]
    fitting = [
        {"slug": slug, "name": name}
        for slug, name, folded in found
        if all(names_brand(word, list_name_words(folded)) for word in search.words)
    ]
    return fitting[:MOST_SUGGESTED]


def list_phrases(text: str, titles: Sequence[str], is_corrected: bool) -> list[str]:
    """The text with its last word as titles have it, the most frequent first. A corrected text is the first phrase."""
    if not (written := list(WORD.finditer(text))):
        return []  # signs of vowels alone, which a search takes for words
    last = written[-1]
    begun = fold(last[0])
    words = Counter(word for title in titles for word in {*WORD.findall(title.lower())} if fold(word).startswith(begun))
    whole = [text[: last.start()] + word for word, _ in words.most_common() if fold(word) != begun]
    return [*([text] if is_corrected else []), *whole][:MOST_SUGGESTED]
