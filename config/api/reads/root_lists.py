"""What the API's root leads to: each app registers its lists in `ready()`."""

from collections.abc import Mapping

# The name of each list's view, by its name at the root.
LISTS: dict[str, str] = {}


def register_lists(lists: Mapping[str, str]) -> None:
    """`{name at the root: name of its view}`: an app's lists, and where to sign in."""
    LISTS.update(lists)
