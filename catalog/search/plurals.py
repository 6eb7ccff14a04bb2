"""The other forms of an English word: `chairs` is also found as `chair`, `battery` as `batteries`.

A search looks for these forms beside the word. So nothing that is stored depends on the language, and a change of
SEARCH_LANGUAGE counts from the next start on.
"""

from collections.abc import Iterator

IRREGULAR = {
    "calf": "calves", "child": "children", "die": "dice", "elf": "elves", "foot": "feet", "goose": "geese",
    "half": "halves", "hoof": "hooves", "knife": "knives", "leaf": "leaves", "life": "lives", "loaf": "loaves",
    "man": "men", "mouse": "mice", "person": "people", "scarf": "scarves", "self": "selves",
    "shelf": "shelves", "thief": "thieves", "tooth": "teeth", "wife": "wives", "wolf": "wolves", "woman": "women",
}  # fmt: skip
SINGULARS = {plural: singular for singular, plural in IRREGULAR.items()}
# Compounds end like them: `bookshelves`, `workmen`.
ENDINGS = (*IRREGULAR, *SINGULARS)
# These words end like plurals, and aren't.
SINGULAR_ENDINGS = ("ss", "us", "is")
INVARIABLE = frozenset({"news", "series", "species", "lens", "gas", "canvas", "atlas", "tennis", "chess"})
HISSING = ("s", "x", "z", "ch", "sh", "o")
SHORTEST = 3


def list_forms(word: str) -> frozenset[str]:
    """Its singulars and plurals, without the word itself. Some don't exist: `axes` is of `axe` and of `axis`."""
    if len(word) < SHORTEST or not (word.isascii() and word.isalpha()):
        return frozenset()
    singulars = list(list_singulars(word))
    return frozenset({*list_irregular(word), *(singulars or list_plurals(word))} - {word})


def list_irregular(word: str) -> Iterator[str]:
    for ending in ENDINGS:
        if word.endswith(ending):
            other = IRREGULAR.get(ending) or SINGULARS[ending]
            yield word.removesuffix(ending) + other


def list_singulars(word: str) -> Iterator[str]:
    if not word.endswith("s") or word.endswith(SINGULAR_ENDINGS) or word in INVARIABLE:
        return
    yield word[:-1]
    if word.endswith("ies") and len(word) > len("ties"):
        yield word[:-3] + "y"
    elif word.endswith("es") and word[:-2].endswith(HISSING):
        yield word[:-2]


def list_plurals(word: str) -> Iterator[str]:
    if word.endswith("y") and word[-2] not in "aeiou":
        yield word[:-1] + "ies"
    elif word.endswith(HISSING):
        yield word + "es"
    if not word.endswith("s"):
        yield word + "s"
