"""What a search that finds nothing may mean: the same text with one or more words replaced by known words like them.

Two known words may stand for one: `acmetools` for the brand "Acme Tools", or for a tool of the brand "Acme".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, product
from typing import Any

from catalog.search.slips import SHORTEST
from catalog.search.vocabulary import find_near, find_parted, find_unknown
from catalog.search.words import Search
from config.api.database.folding import fold
from config.api.problems.errors import DEAR_MS, SearchTooDear

# The most texts that are tried, each by a query that stops at its first hits.
MOST_TRIED = 24
# No text is tried in less.
LEAST_MS = 10
WORD = re.compile(r"[^\W_]+")


def correct(
    search: Search,
    cursor: Any,
    read: Callable[[str], Search],
    finds: Callable[[Search, int], bool],
    milliseconds: int = DEAR_MS,
) -> Search | None:
    """The nearest search that finds an active product; None if none does within this time.

    `finds` may take the milliseconds that it is given.
    """
    end = time.monotonic() + milliseconds / 1000
    for replaced in islice(list_replacements(search, cursor), MOST_TRIED):
        if (left := int(1000 * (end - time.monotonic()))) < LEAST_MS:
            return None
        corrected = read(replace_words(search.text, replaced))
        try:
            if finds(corrected, left):
                return corrected
        except SearchTooDear:
            return None
    return None


def list_replacements(search: Search, cursor: Any) -> Iterator[Mapping[str, str]]:
    """Known words by the asked ones that they replace, the most likely first.

    Words that nothing begins with are replaced, as many of them as can be: the rest may be parts of words. If there are
    none, one of the others is.
    """
    # A slip may have left a letter out of a word of SHORTEST letters.
    asked = [word.text for word in search.words if word.text.isalpha() and len(word.text) >= SHORTEST - 1]
    unknown = [word for word in find_unknown(cursor, asked) if not search.begun.get(word)]
    near = {word: find_parted(cursor, word) + find_near(cursor, word) for word in unknown or asked}
    if unknown:
        ranked = product(*(enumerate([*near[word], word]) for word in unknown))
        for chosen in sorted(ranked, key=lambda places: sum(place for place, _ in places)):
            replaced = dict(zip(unknown, (word for _, word in chosen), strict=True))
            if any(word != known for word, known in replaced.items()):
                yield replaced
    else:
        longest = max(map(len, near.values()), default=0)
        for place in range(longest):
            yield from ({word: known[place]} for word, known in near.items() if place < len(known))


def replace_words(text: str, replaced: Mapping[str, str]) -> str:
    return WORD.sub(lambda found: replaced.get(fold(found[0]), found[0]), text)
