"""The addresses of a feed's file and of its changes. They have a secret, so they need no token."""

from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.http import Http404
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from config.api.reads.addresses import reverse_path
from exports.jobs.publishing import find_suffix
from exports.models import Feed

# What a feed's address needs: 32 characters of base64.
SECRET = r"(?P<secret>[A-Za-z0-9_-]{32})/"


def name_file(feed: Feed) -> str:
    """The end of the file's address, such as `products.xml.gz`."""
    return f"{feed.resource}.{find_suffix(feed)}"


def write_address(feed: Feed, end: str) -> str:
    """With PUBLIC_URL, since it is given to others."""
    return f"{settings.PUBLIC_URL}{reverse_path('feed-list')}{feed.pk}/{feed.secret}/{end}"


def find_feed(pk: str, secret: str, **_: str) -> Feed:
    """Raises Http404 for a wrong secret, too, so that nobody learns which feeds exist."""
    feed = Feed.objects.select_related("owner", "job").filter(pk=pk).first()
    if feed is None or not compare_digest(secret.encode(), feed.secret.encode()) or not feed.owner.is_active:
        raise Http404
    return feed


class FeedAuthentication(BaseAuthentication):
    """The secret in the address signs the feed's owner in, for this feed only."""

    def authenticate(self, request: Request) -> tuple[Any, Feed]:
        feed = find_feed(**request.parser_context["kwargs"])
        return feed.owner, feed

    def authenticate_header(self, request: Request) -> str:
        return "Token"


class FeedScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # as LinkScheme
    """The secret is a part of the path, so the document says that nothing else is needed."""

    target_class = "exports.feeds.addresses.FeedAuthentication"
    name = ["feedAddress"]

    def get_security_requirement(self, auto_schema: Any) -> dict[str, Any]:
        return {}

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return []
