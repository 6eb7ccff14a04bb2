"""System checks that refuse known foot-guns; `check --deploy` asks for the rest."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def check_https(**kwargs: Any) -> list[CheckMessage]:
    if settings.HTTPS:
        return []
    return [
        checks.Warning("HTTPS is off.", hint="Set HTTPS=true behind a proxy that ends TLS.", id="tenfold.W001"),
    ]


@register(Tags.caches)
def check_one_alias_per_redis(**kwargs: Any) -> list[CheckMessage]:
    """django-redis keys its pools by URL: a second alias silently gets the options of the first."""
    urls = [cache["LOCATION"] for cache in settings.CACHES.values() if cache.get("LOCATION")]
    if len(urls) == len(set(map(str, urls))):
        return []
    return [Error("Two caches share one Redis URL.", hint="Give each its own database number.", id="tenfold.E001")]
