"""Finds the known names that a wrong one most resembles, for the hints of errors."""

from collections.abc import Collection
from difflib import SequenceMatcher
from functools import lru_cache

# The most letters of a name that is compared: the time grows with the product of both lengths, and no typo is longer.
LONGEST_NAME = 64
# The most names that a hint offers.
MOST_NEAR = 3


def suggest(word: str, known: Collection[str]) -> str:
    """A hint with the most similar known name, or with all known names if none is similar."""
    names = sorted(known)
    return suggest_near(word, names) or (f"Known here: {', '.join(names)}." if names else "None is known here.")


def suggest_near(word: str, known: Collection[str]) -> str:
    """A hint with the most similar known name; empty if none is similar."""
    if (meant := SYNONYMS.get(word, word.removesuffix("[]"))) in known:
        return f"Did you mean {meant}?"
    near = _find_near(word, tuple(sorted(known))) if len(word) <= LONGEST_NAME else ()
    return f"Did you mean {' or '.join(near)}?" if near else ""


# Cached, since the rows of a body often have the same typo.
@lru_cache(maxsize=256)
def _find_near(word: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that are most similar to `word`: several if they are as similar, none if no name is similar."""
    scores = {name: _rate(word, name) for name in names}
    best = max(scores.values(), default=0.0)
    near = tuple(name for name in names if scores[name] > best - 0.03)
    return near if best >= 0.7 and len(near) <= MOST_NEAR else ()


def _rate(word: str, name: str) -> float:
    """0 to 1. The first part of a name counts most: `updated_after` means `updated_since`, not `created_after`."""
    # Each name's beginning is compared too: as a whole, `price_min` is too long to be similar to `prise`.
    pairs = ((word, name), (word, name[: len(word)]), (_sort_parts(word), _sort_parts(name)))
    # Most names have few letters of the word, which is seen in a fifth of the time.
    whole = max((_likeness(*pair) for pair in pairs if _has_half(*pair)), default=0.0)
    if not whole:
        return 0.0  # the first part alone makes no near match
    return 0.7 * whole + 0.3 * _likeness(word.partition("_")[0], name.partition("_")[0])


# Parts of names that mean the same.
MEANINGS = {
    "since": "after", "from": "after", "until": "before", "modified": "updated", "changed": "updated",
    "gte": "min", "gt": "min", "lte": "max", "lt": "max",
}  # fmt: skip
# What other APIs call a parameter. Their names resemble none of ours.
SYNONYMS = {
    "limit": "page_size", "per_page": "page_size", "sort": "ordering", "sort_by": "ordering", "order_by": "ordering",
    "q": "search", "query": "search", "include": "expand", "exclude": "omit", "stock": "in_stock",
}  # fmt: skip


def _sort_parts(name: str) -> str:
    """`min_price` and `price_min` have the same parts, and so have `updated_after` and `updated_since`."""
    return "_".join(sorted(MEANINGS.get(part, part) for part in name.split("_")))


def _has_half(word: str, name: str) -> bool:
    """Whether the words may be half alike: fewer common letters make no near match, in whatever order."""
    shared = sum(min(word.count(letter), name.count(letter)) for letter in set(word))
    return shared * 4 >= len(word) + len(name)


def _likeness(word: str, name: str) -> float:
    return SequenceMatcher(None, word, name).ratio()
