"""What is stored and would be refused today: an app registers how to find its own, and `doctor` lists it.

Nothing that is stored is rewritten when a rule gets stricter. Its owner is told, and decides.
"""

from collections.abc import Callable, Iterable, Iterator

# A sentence that names the rows, and the remedy.
type Finder = Callable[[], Iterable[tuple[str, str]]]

FINDERS: list[Finder] = []


def register_finder(find: Finder) -> None:
    FINDERS.append(find)


def find_refusable() -> Iterator[tuple[str, str]]:
    """What each app finds. It may read whole tables, so no request calls it."""
    for find in FINDERS:
        yield from find()
