"""The text of a search in, its words and what each may be found by out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import pairwise
from operator import or_
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.conf import settings
from django.db.models import Case, Q, QuerySet, Value, When

from catalog.search.plurals import list_forms
from catalog.title_keys import Fold
from config.api.database.folding import fold
from config.api.database.words import list_compounds, split_words

if TYPE_CHECKING:
    from catalog.models import Brand

# The most words of a search. Each word is looked up by itself, and then the products of all words are compared.
MOST_WORDS = 10
# A trigram index can't find shorter parts.
PART_LETTERS = 3
# The most brands of a search. Their products are found by the brands' ids, each a word of the query; with 200 of them a
# search of 10,000 products took 390 ms.
MOST_BRANDS = 50
# SKUs and barcodes are looked up by their beginnings of at least this many characters, at most as long as a SKU is.
CODE_LENGTHS = range(3, 101)


class Word(NamedTuple):
    """`joined` is it and the word before it as one (behind it, for a letter): `tshirt` of `t shirt`.

    `signed` is `cplusplus` of `C++`.

    If it `is_whole`, only this word is meant, and no word that it begins.
    """

    text: str
    joined: str = ""
    signed: str = ""
    is_whole: bool = False

    def begins(self, other: str) -> bool:
        return other == self.text if self.is_whole else other.startswith(self.text)

    @property
    def forms(self) -> list[str]:
        """Other forms of the word, such as its singular."""
        return list_known_forms(self.text)

    @property
    def others(self) -> list[str]:
        """The forms that don't begin with the word."""
        return [form for form in self.forms if not form.startswith(self.text)]

    @property
    def joined_forms(self) -> list[str]:
        return list_known_forms(self.joined)


def list_known_forms(word: str) -> list[str]:
    """Nothing if SEARCH_LANGUAGE is `simple`."""
    return sorted(list_forms(word)) if settings.SEARCH_LANGUAGE == "english" else []


def read_words(text: str) -> list[Word]:
    """The words of a search. A word that repeats or begins another one is left out: what has `teapot` has `tea`."""
    pieces = list(split_words(text))
    joined = ["", *(first.word + second.word for first, second in pairwise(pieces))]
    words: dict[str, Word] = {}
    for piece, before, after in zip(pieces, joined, [*joined[1:], ""], strict=False):
        found = words.get(piece.word)
        # A letter rather belongs to the word behind it: `t shirt`.
        beside = after or before if is_letter(piece.word) else before
        words[piece.word] = found if found and not piece.signed else Word(piece.word, beside, piece.signed)
    # Once they are sorted, a word that begins others stands right before one of them.
    begins_another = {word for word, following in pairwise(sorted(words)) if following.startswith(word)}
    kept = [word for word in words.values() if word.text not in begins_another or word.signed]
    if len(kept) > MOST_WORDS:
        # Such as the sizes in the title of a shirt.
        kept = [word for word in kept if not is_letter(word.text)] or kept
    return [word._replace(is_whole=True) if is_letter(word.text) else word for word in kept] if len(kept) > 1 else kept


def is_letter(word: str) -> bool:
    """Whether it is one letter or digit, as in `vitamin c`. Too many words begin with it to look for all of them."""
    return len(word) == 1 and word.isascii()


def find_words(text: str) -> list[str]:
    return [word.text for word in read_words(text)]


@dataclass(frozen=True)
class Search:
    """`text` as it was asked for, its words, and the brands that each word names, by their ids.

    `named` are the slugs and names of the brands that all words name.
    """

    text: str
    words: Sequence[Word]
    named: Sequence[tuple[str, str]] = ()
    # By a word: brands whose name has a word that begins so, and brands whose name has these letters.
    begun: Mapping[str, Sequence[int]] = field(default_factory=dict)
    inside: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str, brands: QuerySet[Brand]) -> Self:
        """One query, for the brands."""
        words = read_words(text)
        found = find_brands(brands, words)
        names = {key: (folded, list_name_words(folded)) for key, folded, *_ in found}
        begun = {word.text: [key for key, (_, name) in names.items() if names_brand(word, name)] for word in words}
        inside = {word.text: [key for key, (name, _) in names.items() if word.text in name] for word in words}
        named = [(slug, name) for key, _, slug, name in found if all(key in keys for keys in begun.values())]
        return cls(text.strip(), words, named, begun, inside)

    @property
    def brands(self) -> list[int]:
        """The brands that one of the words names."""
        return sorted({key for keys in self.begun.values() for key in keys})

    @property
    def parts(self) -> list[str]:
        return [word.text for word in self.words if len(word.text) >= PART_LETTERS]

    @property
    def folded(self) -> str:
        return fold(self.text)

    @cached_property
    def codes(self) -> list[str]:
        """The spellings of the text as the beginning of a SKU or barcode; none if it can't be one."""
        if len(self.text.split()) != 1 or len(self.text) not in CODE_LENGTHS:
            return []
        return list(dict.fromkeys((self.text, self.text.upper(), self.text.lower())))


def find_brands(brands: QuerySet[Brand], words: Sequence[Word]) -> Sequence[tuple[int, Any, str, str]]:
    """Ids, folded names, slugs and names of the MOST_BRANDS brands whose names have most of the words or letters."""
    if not words:
        return []
    conditions = [match_name(word) for word in words]
    number = sum((Case(When(condition, then=1), default=0) for condition in conditions), Value(0))
    named = brands.annotate(folded=Fold("name")).filter(reduce(or_, conditions))
    return list(named.order_by(number.desc(), "pk").values_list("pk", "folded", "slug", "name")[:MOST_BRANDS])


def match_name(word: Word) -> Q:
    if len(word.text) >= PART_LETTERS:
        return Q(folded__contains=word.text)
    # A trigram index finds short words only where a word begins.
    return Q(folded__startswith=word.text) | Q(folded__contains=f" {word.text}")


def list_name_words(folded: str) -> list[str]:
    return [*(piece.word for piece in split_words(folded)), *list_compounds(folded)]


def names_brand(word: Word, name: Sequence[str]) -> bool:
    return any(word.begins(part) or (word.joined and part.startswith(word.joined)) for part in name)
