"""Links in the menu of the signed-in user; an app registers its own in `ready()`."""

from django.http import HttpRequest
from django.urls import reverse

LINKS: dict[str, str] = {}


def register_account_link(title: str, route: str) -> None:
    """`route` is the name of an address, such as `admin:index`."""
    LINKS[title] = route


def list_account_links(request: HttpRequest) -> list[dict[str, str]]:
    """UNFOLD's ACCOUNT."""
    return [{"title": title, "link": reverse(route)} for title, route in LINKS.items()]
