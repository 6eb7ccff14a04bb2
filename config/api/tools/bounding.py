"""A tool's result in, one that a model can take out, and what was left out of it."""

from collections.abc import Iterator
from typing import Any

import orjson

from config.api.problems.errors import write_pointer

# The most bytes of a result, entries of a list or object, and characters of a text. A model reads about four bytes a
# token, and has little use for the fortieth variant.
MOST_BYTES = 32_000
MOST_ENTRIES = 50
MOST_CHARACTERS = 2_000

type Left = dict[str, Any]


def bound(value: Any) -> Any:
    """`value`, cut where it is too long. An object that was cut has `left_out`: where, how much is shown, of how much.

    Entries and texts are halved until the whole fits.
    """
    for share in (1, 2, 4, 8, 16, 32):
        left: list[Left] = []
        cut = shorten(value, (), share, left)
        if left:
            cut = {**(cut if isinstance(cut, dict) else {"result": cut}), "left_out": left[:MOST_ENTRIES]}
        if len(orjson.dumps(cut)) <= MOST_BYTES:
            break
    return cut


def shorten(value: Any, way: tuple[object, ...], share: int, left: list[Left]) -> Any:
    match value:
        case str() if len(value) > MOST_CHARACTERS // share:
            left.append(describe(way, MOST_CHARACTERS // share, len(value), "characters"))
            return value[: MOST_CHARACTERS // share]
        case list() | dict():
            entries = list(value.items() if isinstance(value, dict) else enumerate(value))
            most = max(1, MOST_ENTRIES // share)
            if len(entries) > most:
                left.append(describe(way, most, len(entries), "entries"))
            kept = shorten_entries(entries[:most], way, share, left)
            return dict(kept) if isinstance(value, dict) else [each for _, each in kept]
        case _:
            return value


def shorten_entries(
    entries: list[tuple[Any, Any]], way: tuple[object, ...], share: int, left: list[Left]
) -> Iterator[tuple[Any, Any]]:
    for name, each in entries:
        yield name, shorten(each, (*way, name), share, left)


def describe(way: tuple[object, ...], shown: int, of: int, what: str) -> Left:
    return {"at": write_pointer(way) or "/", "shown": shown, "of": of, "what": what}
