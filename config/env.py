"""Environment variables in, typed values out. A bad value stops the start.

Each reader raises ImproperlyConfigured with one sentence: the variable, the value, what was expected.
"""

import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from config.api.writes.currencies import CURRENCIES

NAMES = (
    "DATABASE_URL", "DATABASE_REPLICA_URLS", "DATABASE_POOL", "DATABASE_POOL_MIN", "DATABASE_POOL_TIMEOUT",
    "DATABASE_POOL_RECYCLE", "DATABASE_PREPARE", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "DEBUG",
    "ALLOWED_HOSTS", "HOST", "PORT", "WEB_WORKERS", "WEB_THREADS", "LOG_LEVEL", "LOG_FORMAT", "METRICS_TOKEN",
    "METRICS_FOLDER", "CACHE", "CACHE_LEASE_MS", "CACHE_MEMORY_BYTES", "CURRENCY", "MAX_BODY_BYTES", "HTTPS",
    "RATE_LIMIT_ANON", "RATE_LIMIT_TOKEN", "RATE_LIMIT_LOGIN", "TRUSTED_PROXIES", "PROXY_HEADER",
    "CHANGE_RETENTION_DAYS", "JOB_LEASE_SECONDS", "EXPORT_STORAGE_URL", "WEBHOOK_ALLOW_NETWORKS",
    "MEDIA_STORAGE_URL", "MEDIA_MAX_BYTES", "MEDIA_MAX_PIXELS",
    "EXPORT_QUOTA_JOBS", "EXPORT_QUOTA_BYTES", "EXPORT_STREAMS",
    "IMPORT_QUOTA_JOBS", "IMPORT_MAX_BYTES", "IMPORT_MAX_UNPACKED_BYTES", "IMPORT_MAX_RATIO",
    "IMPORT_KEEPS_BEFORE", "LOW_STOCK", "RESERVATION_MINUTES",
    "DRAIN_SECONDS", "STATEMENT_TIMEOUT_MS", "HSTS_SUBDOMAINS", "HSTS_PRELOAD", "PUBLIC_URL", "EMAIL_URL", "EMAIL_FROM",
    "REGISTRATION",
    "SEARCH_LANGUAGE", "PRODUCT_URL_TEMPLATE", "CORS_ALLOWED_ORIGINS", "CORS_ALLOWED_ORIGIN_REGEXES",
    "BASE_PATH", "CACHE_S_MAXAGE",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_SERVICE_NAME", "SENTRY_DSN", "SENTRY_ENVIRONMENT", "MCP", "MCP_TOKEN",
    "SELLER_NAME", "SELLER_COUNTRIES", "SELLER_RETURNS_URL",
)  # fmt: skip

# Names that the SDKs read beside those, and that are similar to some. The rest of OTEL_… isn't.
OF_OTHERS = frozenset(
    {f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in ("TRACES", "METRICS", "LOGS")}
    | {"OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_INSECURE"}
)


def refuse_near_misses() -> None:
    """Raise ImproperlyConfigured for a name that is similar to one of ours: `DATABSE_URL=…` would mean SQLite."""
    for name in os.environ.keys() - set(NAMES) - OF_OTHERS:
        if meant := get_close_matches(name, NAMES, n=1, cutoff=0.9):
            raise ImproperlyConfigured(f"{name} is not a setting of Tenfold: did you mean {meant[0]}?")


def read_text(name: str, default: str) -> str:
    return os.environ.get(name, default).strip()


def read_secret(name: str, hint: str) -> str:
    """A required text, since no default would be safe."""
    if not (text := read_text(name, "")):
        raise ImproperlyConfigured(f"{name} is not set: {hint}")
    return text


def read_flag(name: str, default: bool) -> bool:
    return read_choice(name, str(default).lower(), ("true", "false")) == "true"


def read_choice(name: str, default: str, choices: Sequence[str]) -> str:
    text = read_text(name, default)
    if text not in choices:
        raise ImproperlyConfigured(f"{name}={text!r}: expected one of {', '.join(choices)}, as in {name}={default}")
    return text


def read_count(name: str, default: int, most: int, least: int = 1) -> int:
    """A whole number from `least` to `most`."""
    text = read_text(name, str(default))
    # int() alone would also accept "1_000" and digits of other scripts. The shell and compose.yaml read the same
    # variables, and don't.
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ImproperlyConfigured(
            f"{name}={text!r}: expected a whole number from {least} to {most}, as in {name}={default}"
        )
    return int(text)


def read_rate(name: str, default: str) -> str:
    """`N/second`, `N/minute`, `N/hour`, `N/day` or `off`."""
    text = read_text(name, default)
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)|off", text):
        raise ImproperlyConfigured(
            f"{name}={text!r}: expected N/second, N/minute, N/hour, N/day or off, as in {name}={default}"
        )
    return text


def read_list(name: str, default: str) -> list[str]:
    """Comma-separated values; blanks around them are removed."""
    return [item.strip() for item in read_text(name, default).split(",") if item.strip()]


def read_networks(name: str) -> list[str]:
    """Comma-separated networks, as in `10.1.0.0/16,fd00::/8`. A single address is a network of one."""
    networks = read_list(name, "")
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}={network!r}: {error}; expected a network, as in 10.1.0.0/16") from error
    return networks


def read_currency(name: str, default: str) -> str:
    text = read_text(name, default)
    if text not in CURRENCIES:
        raise ImproperlyConfigured(f"{name}={text!r}: expected three letters of ISO 4217, as in {name}={default}")
    return text


def read_redis_url(name: str) -> str:
    """A Redis URL, or "" for no Redis."""
    text = read_text(name, "")
    if text and not text.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured(f"{name}={text!r}: expected a Redis URL, as in {name}=redis://127.0.0.1:6379/0")
    return text


def read_database_url(name: str, default: str) -> dict[str, Any]:
    """Django's DATABASES entry for `postgres://user:password@host:port/name` or `sqlite:///path`."""
    return parse_database_url(name, read_text(name, default))


def read_replica_urls(name: str, of: dict[str, Any]) -> list[dict[str, Any]]:
    """DATABASES entries of the replicas. Only PostgreSQL can have replicas. `of` is the primary's entry."""
    replicas = [parse_database_url(name, text) for text in read_list(name, "")]
    if any(database["ENGINE"] != POSTGRES for database in (*replicas, of)) and replicas:
        raise ImproperlyConfigured(
            f"{name}: expected postgres://USER:PASSWORD@HOST:PORT/NAME, comma-separated, with a DATABASE_URL like it"
        )
    return replicas


POSTGRES, SQLITE = "django.db.backends.postgresql", "django.db.backends.sqlite3"


def parse_database_url(name: str, text: str) -> dict[str, Any]:
    # The sentence doesn't have the URL, since logs must not have its password.
    expected = f"{name}: expected postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:///FILE"
    try:
        database: dict[str, Any] = environ.Env.db_url_config(text)
    except Exception as error:
        raise ImproperlyConfigured(f"{expected}, but it can't be read ({type(error).__name__})") from error
    if database.get("ENGINE") not in (POSTGRES, SQLITE):
        raise ImproperlyConfigured(expected)
    return database


# The parameters of an s3:// URL, with django-storages' names. boto3 reads the credentials from AWS_… variables.
S3_OPTIONS = ("endpoint_url", "region_name", "addressing_style", "signature_version", "default_acl")


def read_storage_url(name: str, default: str) -> dict[str, Any]:
    """Django's STORAGES entry for `file:///folder` or `s3://bucket/prefix?endpoint_url=…`."""
    text = read_text(name, default)
    expected = f"{name}={text!r}: expected file:///FOLDER or s3://BUCKET/PREFIX"
    parts = urlsplit(text)
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1:
        return {"BACKEND": "config.api.jobs.files.LocalFolder", "OPTIONS": {"location": parts.path}}
    if parts.scheme != "s3" or not parts.netloc:
        raise ImproperlyConfigured(expected)
    options = dict(parse_qsl(parts.query))
    if unknown := options.keys() - set(S3_OPTIONS):
        raise ImproperlyConfigured(f"{expected}, with {', '.join(S3_OPTIONS)} as parameters, not {min(unknown)}")
    options |= {"bucket_name": parts.netloc, "location": parts.path.strip("/")}
    return {"BACKEND": "config.api.jobs.s3.S3Bucket", "OPTIONS": options}


def write_origin(host: str, port: int) -> str:
    """`http://127.0.0.1:8000`, or `http://[::1]:8000` for IPv6."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def read_origin(name: str, default: str) -> str:
    """Scheme, host and port, as in `https://shop.example`."""
    text = read_text(name, default).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or f"{parts.scheme}://{parts.netloc}" != text:
        raise ImproperlyConfigured(f"{name}={text!r}: expected scheme and host, as in {name}=https://shop.example.com")
    return text


def read_path(name: str, taken: Sequence[str]) -> str:
    """A path such as `/shop`, whose first segment isn't one of `taken`; "" for none."""
    text = read_text(name, "").rstrip("/")
    is_plain = re.fullmatch(r"(/(?!\.\.?(/|\Z))[A-Za-z0-9._~-]+)*", text)
    if not is_plain or text.split("/")[1:2] in [[word] for word in taken]:
        raise ImproperlyConfigured(
            f"{name}={text!r}: expected a path of letters, digits and ._~- that begins with none of "
            f"{', '.join(taken)}, as in {name}=/shop"
        )
    return text


def read_origins(name: str) -> list[str]:
    """Comma-separated origins, as browsers send them: in lower case, without a path and the usual port."""
    expected = f"{name}=https://shop.example.com,https://admin.example.com"
    origins = read_list(name, "")
    for origin in origins:
        parts = urlsplit(origin)
        is_usual = origin.endswith({"http": ":80", "https": ":443"}.get(parts.scheme, "*"))
        is_plain = origin == f"{parts.scheme}://{parts.netloc}".lower() and "@" not in parts.netloc
        if parts.scheme not in ("http", "https") or not parts.hostname or is_usual or not is_plain or "*" in origin:
            raise ImproperlyConfigured(
                f"{name}={origin!r}: expected scheme and host as browsers send them, as in {expected}. "
                "Patterns are for CORS_ALLOWED_ORIGIN_REGEXES."
            )
    return origins


def read_patterns(name: str) -> list[re.Pattern[str]]:
    """Regular expressions, separated by blanks, since they may contain commas. Each must match a whole text."""
    patterns = []
    for text in read_text(name, "").split():
        try:
            patterns.append(re.compile(rf"(?:{text})\Z"))
        except re.error as error:
            example = rf"{name}=https://[a-z-]+\.example\.com"
            raise ImproperlyConfigured(
                f"{name}={text!r}: expected regular expressions, separated by blanks, as in {example} ({error})"
            ) from error
    return patterns


def read_template(name: str, words: Sequence[str]) -> str:
    """A URL with at least one of the words in braces, or "" for none."""
    text = read_text(name, "")
    found = re.findall(r"\{(.*?)\}", text)
    is_known = bool(found) and set(found) <= set(words) and "{" not in re.sub(r"\{.*?\}", "", text)
    if text and not (is_known and urlsplit(text).scheme in ("http", "https") and urlsplit(text).hostname):
        known = ", ".join(f"{{{word}}}" for word in words)
        raise ImproperlyConfigured(
            f"{name}={text!r}: expected a URL with one of {known}, as in {name}=https://shop.example.com/p/{{{words[0]}}}"
        )
    return text


def read_countries(name: str) -> list[str]:
    """Comma-separated codes of ISO 3166, as in `US,CA`."""
    countries = read_list(name, "")
    for country in countries:
        if not re.fullmatch("[A-Z]{2}", country):
            raise ImproperlyConfigured(
                f"{name}={country!r}: expected two capital letters (ISO 3166), as in {name}=US,CA"
            )
    return countries


def read_url(name: str) -> str:
    """The address of a page; "" for none."""
    text = read_text(name, "")
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ImproperlyConfigured(f"{name}={text!r}: expected a URL, as in {name}=https://shop.example.com/returns")
    return text


def read_email_url(name: str, default: str) -> dict[str, Any]:
    """Django's MAILERS entry for `smtp+tls://USER:PASSWORD@HOST:PORT`, `smtp+ssl://`, `smtp://` or `consolemail://`."""
    # The error doesn't show the URL, since logs must not have its password.
    expected = f"{name}: expected smtp+tls://USER:PASSWORD@HOST:587, smtp+ssl://, smtp:// or consolemail://"
    try:
        parts: dict[str, Any] = environ.Env.email_url_config(read_text(name, default))
    except Exception as error:
        raise ImproperlyConfigured(expected) from error
    if not parts["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
        options = {"file_path": parts["EMAIL_FILE_PATH"]} if "filebased" in parts["EMAIL_BACKEND"] else {}
        return {"BACKEND": parts["EMAIL_BACKEND"], "OPTIONS": options}
    if not parts["EMAIL_HOST"]:
        raise ImproperlyConfigured(expected)
    options = {
        "host": parts["EMAIL_HOST"],
        "port": parts["EMAIL_PORT"] or (465 if parts.get("EMAIL_USE_SSL") else 587),
        "username": parts["EMAIL_HOST_USER"] or "",
        "password": parts["EMAIL_HOST_PASSWORD"] or "",
        "use_tls": bool(parts.get("EMAIL_USE_TLS")),
        "use_ssl": bool(parts.get("EMAIL_USE_SSL")),
        # Seconds. If the mail server hangs, the worker waits no longer than this.
        "timeout": 10,
    }
    return {"BACKEND": parts["EMAIL_BACKEND"], "OPTIONS": options}


# -- traces and errors -------------------------------------------------------------------------------------------

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTERS = ("otlp", "none")
SAMPLERS = (
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
    "always_on", "always_off", "traceidratio",
)  # fmt: skip
OF_OTLP = {
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": ("http/protobuf",),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("http/protobuf",),
    "OTEL_TRACES_SAMPLER": SAMPLERS,
}


def read_traces() -> bool:
    """Whether OpenTelemetry's variables ask for traces. The SDK reads them again; here bad values stop the start.

    An empty one is as good as none.
    """
    exporter = read_text("OTEL_TRACES_EXPORTER", "") and read_choice("OTEL_TRACES_EXPORTER", "otlp", EXPORTERS)
    asking = [name for name in (*ENDPOINTS, "OTEL_TRACES_EXPORTER") if read_text(name, "")]
    if not asking or exporter == "none" or read_text("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    for name in ENDPOINTS:
        read_endpoint(name)
    for name, choices in OF_OTLP.items():
        if read_text(name, ""):
            read_choice(name, choices[0], choices)
    read_share("OTEL_TRACES_SAMPLER_ARG", "1.0")
    require_extra("otel", "opentelemetry.exporter.otlp.proto.http", asking[0])
    return True


def read_endpoint(name: str) -> str:
    """The address of a collector; "" for none."""
    text = read_text(name, "")
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ImproperlyConfigured(
            f"{name}={text!r}: expected a URL of OTLP over HTTP, as in {name}=http://127.0.0.1:4318"
        )
    return text


def read_share(name: str, default: str) -> str:
    """A number from 0 to 1."""
    text = read_text(name, "") or default
    if not re.fullmatch(r"0(\.\d{1,9})?|1(\.0{1,9})?", text, re.ASCII):
        raise ImproperlyConfigured(f"{name}={text!r}: expected a number from 0 to 1, as in {name}=0.05")
    return text


def read_sentry_dsn() -> str:
    """Where Sentry takes errors; "" for nowhere. The sentence doesn't show it, since it has a key."""
    text = read_text("SENTRY_DSN", "")
    if text and not re.fullmatch(r"https?://[^\s:/@]+(:[^\s/@]*)?@[^\s/@]+(/[^\s/]+)*/\d+", text, re.ASCII):
        raise ImproperlyConfigured("SENTRY_DSN: expected the address that Sentry shows, as https://KEY@HOST/NUMBER")
    if text:
        require_extra("sentry", "sentry_sdk", "SENTRY_DSN")
    return text


def require_extra(extra: str, module: str, name: str) -> None:
    """Raise ImproperlyConfigured if `module` of an extra that a setting needs isn't installed. It isn't loaded here."""
    try:
        is_installed = find_spec(module) is not None
    except ModuleNotFoundError:
        is_installed = False
    if not is_installed:
        raise ImproperlyConfigured(
            f"{name} is set, but the extra {extra} isn't installed: pip install '.[{extra}]', or unset {name}"
        )
