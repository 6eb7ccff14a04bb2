"""Finds what is amiss with stored data, such as rows that today's rules would refuse. Apps register finders.

`manage.py doctor` lists what they find. Registering the same function again changes nothing: Django calls an app's
ready() once more whenever INSTALLED_APPS changes.

A stricter rule never rewrites stored rows. Their owner reads the list and decides.
"""

from collections.abc import Callable, Iterable, Iterator

# A sentence that names the rows, and the remedy.
type Finder = Callable[[], Iterable[tuple[str, str]]]

FINDERS: list[Finder] = []
# Trial writes, which are rolled back. Each raises a DatabaseError if the database can't write.
TRIALS: list[Callable[[], None]] = []


def register_finder(find: Finder) -> None:
    if find not in FINDERS:
        FINDERS.append(find)


def register_trial(write: Callable[[], None]) -> None:
    if write not in TRIALS:
        TRIALS.append(write)


def find_amiss() -> Iterator[tuple[str, str]]:
    """The results of all finders. They may read whole tables, so no request calls this."""
    for find in FINDERS:
        yield from find()
