"""System checks for known mistakes in settings. `check --deploy` runs those with deploy=True too."""

from importlib.util import find_spec
from typing import Any

import redis
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from config.operation.dangers import find_open_redis, list_dangers, list_local_defaults


@register(Tags.security, deploy=True)
def check_https(**kwargs: Any) -> list[CheckMessage]:
    if settings.HTTPS:
        return []
    return [
        checks.Warning("HTTPS is off.", hint="Set HTTPS=true behind a proxy that ends TLS.", id="tenfold.W001"),
    ]


@register(Tags.security, deploy=True)
def check_dangers(**kwargs: Any) -> list[CheckMessage]:
    """Dangerous settings. With these the server doesn't start if other machines can reach it."""
    return [
        Error(f"{danger.name} {danger.detail}.", hint=danger.remedy, id="tenfold.E002") for danger in list_dangers()
    ]


@register(Tags.security, deploy=True)
def check_toolbar(**kwargs: Any) -> list[CheckMessage]:
    if "debug_toolbar" not in settings.INSTALLED_APPS:
        return []
    return [Error("The debug toolbar shows every query and setting.", hint="Set DEBUG=false.", id="tenfold.E003")]


@register
def check_agents(**kwargs: Any) -> list[CheckMessage]:
    if not settings.MCP or find_spec("mcp"):
        return []
    return [
        checks.Warning(
            "MCP=true, but the extra mcp isn't installed: /mcp answers 422.",
            hint="pip install '.[mcp]', or unset MCP.",
            id="tenfold.W006",
        )
    ]


@register(Tags.caches)
def check_one_alias_per_redis(**kwargs: Any) -> list[CheckMessage]:
    """django-redis keys its pools by URL: a second alias silently gets the options of the first."""
    urls = [cache["LOCATION"] for cache in settings.CACHES.values() if cache.get("LOCATION")]
    if len(urls) == len(set(map(str, urls))):
        return []
    return [Error("Two caches share one Redis URL.", hint="Give each its own database number.", id="tenfold.E001")]


@register(Tags.caches, deploy=True)
def check_eviction(**kwargs: Any) -> list[CheckMessage]:
    policy = read_eviction_policy()
    if not policy.startswith("allkeys"):
        return []
    return [
        Error(
            f"If Redis is full, it may drop any key, also waiting tasks (maxmemory-policy {policy}).",
            hint="CONFIG SET maxmemory-policy noeviction (or a volatile- one), and in redis.conf.",
            id="tenfold.E004",
        )
    ]


def read_eviction_policy() -> str:
    """Redis' maxmemory-policy; "" if there is no Redis or it doesn't answer (`doctor` reports that)."""
    if not settings.REDIS_URL:
        return ""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            policy: dict[str, str] = client.config_get("maxmemory-policy")
            return policy.get("maxmemory-policy", "")
    except redis.RedisError:
        return ""


@register(Tags.security, deploy=True)
def check_redis_password(**kwargs: Any) -> list[CheckMessage]:
    danger = find_open_redis()
    return [checks.Warning(f"{danger.name} {danger.detail}.", hint=danger.remedy, id="tenfold.W003")] if danger else []


@register(Tags.security, deploy=True)
def check_local_defaults(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(f"{danger.name} {danger.detail}.", hint=danger.remedy, id="tenfold.W005")
        for danger in list_local_defaults()
    ]


@register(Tags.database)
def check_pools(**kwargs: Any) -> list[CheckMessage]:
    """Django raises an error for this pair too, but only at the first query."""
    return [
        Error(
            f"Database {alias} has both a pool and CONN_MAX_AGE.",
            hint="Set CONN_MAX_AGE = 0 if OPTIONS has a pool.",
            id="tenfold.E005",
        )
        for alias, database in settings.DATABASES.items()
        if database.get("OPTIONS", {}).get("pool") and database.get("CONN_MAX_AGE", 0) != 0
    ]


@register(Tags.database)
def check_server_side_cursors(**kwargs: Any) -> list[CheckMessage]:
    """Behind a pooler in transaction mode the next FETCH would go to another server connection."""
    return [
        checks.Warning(
            f"Database {alias} may use server-side cursors, which break behind PgBouncer in transaction mode.",
            hint="Set DISABLE_SERVER_SIDE_CURSORS = True.",
            id="tenfold.W002",
        )
        for alias, database in settings.DATABASES.items()
        if database["ENGINE"].endswith("postgresql") and not database.get("DISABLE_SERVER_SIDE_CURSORS")
    ]
