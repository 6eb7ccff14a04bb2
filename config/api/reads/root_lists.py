"""The links of the API's root: each app registers its lists in `ready()`."""

from collections.abc import Mapping

# The name of each list's route, by the list's name at the root.
LISTS: dict[str, str] = {}


def register_lists(lists: Mapping[str, str]) -> None:
    """Add an app's lists and other links, as `{name at the root: name of the route}`."""
    LISTS.update(lists)
