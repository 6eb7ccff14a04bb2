"""All settings, in the order in which a request meets them. env.py reads those that come from the environment."""

import gc
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from config import env
from config.logs import build_logging

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# `make run` writes this file. Variables that are already set in the environment take precedence.
environ.Env.read_env(BASE_DIR / ".env")
env.refuse_near_misses()

# -- the process ------------------------------------------------------------------------------------------------

# 2,000 modules are loaded, and the search for garbage among them was a tenth of a start's CPU. `config.apps` ends this.
gc.set_threshold(1_000_000)

DEBUG = env.read_flag("DEBUG", False)
LOGGING = build_logging(
    env.read_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    env.read_choice("LOG_FORMAT", "json", ("json", "console")),
)

# With this token, /metrics can be read from anywhere; without it on this machine, if no proxy is in front.
# config/metrics.py reads METRICS_FOLDER itself.
METRICS_TOKEN = env.read_text("METRICS_TOKEN", "")

# Where traces and errors go (config/telemetry/README.md). Nothing is loaded for what isn't set.
TRACES = env.read_traces()
SENTRY_DSN = env.read_sentry_dsn()
TELEMETRY = ["config.telemetry.otel"] * TRACES + ["config.telemetry.sentry"] * bool(SENTRY_DSN)

# Tools for agents at /mcp (config/mcp/README.md), and the token with which `python -m config.mcp` uses them.
MCP = env.read_flag("MCP", False)
MCP_TOKEN = env.read_text("MCP_TOKEN", "")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "config.api.apps.AdminConfig",  # django.contrib.admin, with the site of config/api/admin/site.py
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "config.api.apps.TasksConfig",  # django_tasks_db
    "django_rq",
    "config.api",
    "catalog",
    "accounts",
    "exports",
    "config",
]

# -- the connection ---------------------------------------------------------------------------------------------

WSGI_APPLICATION = "config.wsgi.application"
HOST = env.read_text("HOST", "127.0.0.1")
PORT = env.read_count("PORT", 8000, most=65_535)
LOCAL_URL = env.write_origin(HOST, PORT)
# The path under which a proxy shows this server; "" means the root, or what X-Forwarded-Prefix says.
BASE_PATH = env.read_path(
    "BASE_PATH", taken=("admin", "api", "livez", "media", "metrics", "password", "pictures", "readyz", "static")
)
# The beginning of addresses in mails, files and feeds, which have no request.
PUBLIC_URL = f"{env.read_origin('PUBLIC_URL', LOCAL_URL)}{BASE_PATH}"
# The address of a product in the shop, for feeds.
PRODUCT_URL_TEMPLATE = env.read_template("PRODUCT_URL_TEMPLATE", ("slug", "id", "sku"))
# Who sells, for the feed `agentic`: the first country is the shop's, and all are those that it delivers to.
SELLER_NAME = env.read_text("SELLER_NAME", "")
SELLER_COUNTRIES = env.read_countries("SELLER_COUNTRIES")
SELLER_RETURNS_URL = env.read_url("SELLER_RETURNS_URL")
REDIS_URL = env.read_redis_url("REDIS_URL")
WEB_WORKERS = env.read_count("WEB_WORKERS", 1, most=256)
WEB_THREADS = env.read_count("WEB_THREADS", 4, most=256)
# The most streamed exports at once. Each takes a thread for as long as its client reads.
EXPORT_STREAMS = env.read_count("EXPORT_STREAMS", max(1, WEB_THREADS // 2), most=256)
if EXPORT_STREAMS >= WEB_THREADS > 1:
    raise ImproperlyConfigured(
        f"EXPORT_STREAMS={EXPORT_STREAMS} leaves no thread for other requests; set less than WEB_THREADS={WEB_THREADS}"
    )
# Seconds between SIGTERM and the end. Meanwhile the server isn't ready, and each answer closes its connection.
DRAIN_SECONDS = env.read_count("DRAIN_SECONDS", 2, most=300, least=0)
if WEB_WORKERS > 1 and not REDIS_URL:
    raise ImproperlyConfigured(
        f"WEB_WORKERS={WEB_WORKERS} needs REDIS_URL: without Redis each worker would have its own cache"
    )

ALLOWED_HOSTS = env.read_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
# The names among them by which other machines call this server.
PUBLIC_HOSTS = [host for host in ALLOWED_HOSTS if not host.startswith(("localhost", "127.", "[::1]"))]
# True if a proxy terminates TLS. Without a proxy, the server speaks plain HTTP on the loopback address.
HTTPS = env.read_flag("HTTPS", False)
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = BASE_PATH or "/"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# Both reach beyond this host, and browsers remember them for a year: the owner of the domain must want them.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.read_flag("HSTS_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = env.read_flag("HSTS_PRELOAD", False)
if SECURE_HSTS_PRELOAD and not SECURE_HSTS_INCLUDE_SUBDOMAINS:
    raise ImproperlyConfigured("HSTS_PRELOAD=true needs HSTS_SUBDOMAINS=true: browsers' lists take whole domains only")
# Django's advice to set these two. And W040: SQLite leaves out an index's columns that it isn't ordered by.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021", "models.W040"]
# Probes call the process directly, without the proxy.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]

# The sites whose scripts may read the API. They never get cookies (CORS_ALLOW_CREDENTIALS): a script sends a token.
CORS_ALLOWED_ORIGINS = env.read_origins("CORS_ALLOWED_ORIGINS")
CORS_ALLOWED_ORIGIN_REGEXES = env.read_patterns("CORS_ALLOWED_ORIGIN_REGEXES")
CORS = bool(CORS_ALLOWED_ORIGINS or CORS_ALLOWED_ORIGIN_REGEXES)
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (
    *default_headers, "Content-Disposition", "Idempotency-Key", "If-Match", "If-None-Match", "If-Range",
    "Last-Event-ID", "Prefer", "Range", "Traceparent", "Tracestate", "X-Min-Version", "X-Request-ID",
)  # fmt: skip
# The headers of an answer that a script may read, besides those that it always may, such as Content-Type.
CORS_EXPOSE_HEADERS = (
    "Accept-Ranges", "Age", "Allow", "Content-Disposition", "Content-Range", "ETag", "Idempotency-Replayed", "Link",
    "Location", "Preference-Applied", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After",
    "Server-Timing", "WWW-Authenticate", "X-Cache", "X-Changes-Cursor", "X-Data-Version", "X-Request-ID",
)  # fmt: skip

# -- middleware, from the outside in ----------------------------------------------------------------------------

MIDDLEWARE = [
    "config.middleware.CacheTwin",  # the cache for requests that didn't pass CacheGate, such as in tests
    "config.middleware.AccessLog",  # outside the others, to time and log all that they do
    "config.middleware.BodyLimit",
    "config.middleware.TextPath",
    "config.compression.GZipMiddleware",  # Django's, with brotli and zstd
    "config.middleware.RedirectWrites",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.ContentPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.OptionalSlash",
    "config.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.middleware.SessionUsers",
    "config.middleware.SessionMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.Preconditions",
]
CSRF_FAILURE_VIEW = "config.api.problems.error_handler.answer_csrf_failure"
# OptionalSlash answers without a redirect, which would turn a POST into a GET.
APPEND_SLASH = False
X_FRAME_OPTIONS = "DENY"
# Products' images are on other hosts, and the pages of DRF and Swagger UI have inline styles. config.api.admin.site has
# a policy for /admin/.
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:", "https:"],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "worker-src": [CSP.SELF, "blob:"],
    "object-src": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.SELF],
    "form-action": [CSP.SELF],
}

# -- routes, sessions, users -------------------------------------------------------------------------------------

ROOT_URLCONF = "config.urls"
SECRET_KEY = env.read_secret("SECRET_KEY", "`make run` writes one to .env, or set it to 50 random characters.")
SECRET_KEY_FALLBACKS = env.read_list("SECRET_KEY_FALLBACKS", "")
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = [
    "config.api.access.logins.LoginLimit",  # first: it stops clients that try too often, and authenticates nobody
    "django.contrib.auth.backends.ModelBackend",
]
# Seconds for which the link in a mail is valid.
PASSWORD_RESET_TIMEOUT = 3600
# Whether strangers may register as customers.
REGISTRATION = env.read_flag("REGISTRATION", default=False)
SESSION_ENGINE = "accounts.sessions"
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "root"
KNOX_TOKEN_MODEL = "accounts.AuthToken"
# knox's own migrations would create a second token table, which stays empty and can't be flushed.
MIGRATION_MODULES = {"knox": None}
REST_KNOX: dict[str, Any] = {
    "TOKEN_TTL": None,  # accounts/tokens.py sets each token's expiry
    "TOKEN_LIMIT_PER_USER": 50,
    "AUTH_HEADER_PREFIX": "Token",
}

# -- the API ----------------------------------------------------------------------------------------------------

# The largest body that is read into memory. Uploaded files are streamed.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.read_count("MAX_BODY_BYTES", 2_621_440, most=1_073_741_824, least=1024)
CURRENCY = env.read_currency("CURRENCY", "USD")
# Whether searches also look for singulars and plurals (catalog/search/plurals.py).
SEARCH_LANGUAGE = env.read_choice("SEARCH_LANGUAGE", "english", ("english", "simple"))

# The number of proxies in front that append to PROXY_HEADER. Clients can forge the entries before those.
TRUSTED_PROXIES = env.read_count("TRUSTED_PROXIES", 0, most=10, least=0)
# Behind proxies that pass names with an underscore, only Forwarded is safe (config/serving/forwarded.py).
PROXY_HEADER = env.read_choice("PROXY_HEADER", "X-Forwarded-For", ("X-Forwarded-For", "Forwarded"))
if PROXY_HEADER == "Forwarded" and not TRUSTED_PROXIES:
    raise ImproperlyConfigured("PROXY_HEADER=Forwarded needs TRUSTED_PROXIES: how many proxies append to it, as in 1")
# Whether requests may have a sub-path (config/serving/sub_path.py). `Forwarded` has no member for it.
HAS_SUB_PATHS = bool(BASE_PATH or (TRUSTED_PROXIES and PROXY_HEADER == "X-Forwarded-For"))
RATE_LIMIT_ANON = env.read_rate("RATE_LIMIT_ANON", "3000/minute")
RATE_LIMIT_TOKEN = env.read_rate("RATE_LIMIT_TOKEN", "30000/minute")
RATE_LIMIT_LOGIN = env.read_rate("RATE_LIMIT_LOGIN", "10/minute")

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "config.api.access.sessions.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["config.api.access.permissions.ModelPermissions"],
    "DEFAULT_THROTTLE_CLASSES": ["config.api.access.throttling.RateLimit"],
    "DEFAULT_RENDERER_CLASSES": [
        "config.api.rendering.renderers.JSONRenderer",
        "config.api.rendering.renderers.HTMLRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["config.api.writes.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.api.rendering.renderers.Negotiation",
    "DEFAULT_SCHEMA_CLASS": "config.api.schema.operations.Schema",
    "EXCEPTION_HANDLER": "config.api.problems.error_handler.handle_exception",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,  # clients choose the format with Accept, not with ?format=
    "NUM_PROXIES": TRUSTED_PROXIES,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Tenfold",
    "VERSION": VERSION,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "CONTACT": {"name": "Who runs this server", "url": "https://server.invalid"},
    "DESCRIPTION": (
        "A product catalogue as an API, as fast at ten million rows as at ten thousand.\n\n"
        "Lists have cursors, or page numbers with `page`. Amounts are decimal strings, times are RFC 3339 in UTC. An "
        "unknown parameter or value is an error that names it. Every error is a problem document (RFC 9457). Besides "
        "the errors listed at an operation: 405 for a method that an address doesn't have, 404 for an unknown "
        "address, and 500 if something failed on the server. A request may have its own `X-Request-ID` (letters, "
        "digits and `._:-`, at most 100)."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SORT_OPERATION_PARAMETERS": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api.schema.operations.add_components",
    ],
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,  # an empty text means what leaving out means
    "ENUM_NAME_OVERRIDES": {
        "ProductStatus": "catalog.models.Product.Status",
        "EventKind": "accounts.events.Event.Kind",
        "OrderStatus": "accounts.models.Order.Status",
        "JobStatus": "config.api.jobs.models.Job.Status",
        "ImportFormatEnum": "catalog.imports.serializers.FORMAT_CHOICES",
        "ExportFormat": "exports.models.ExportJob.Format",
        "WebhookStatus": "config.api.webhooks.models.Status",
        "WebhookWish": "config.api.webhooks.models.WISHES",
        "RowStatus": "config.api.writes.bulk.STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "",  # our template has the icon, under the request's sub-path
    "SERVERS": [{"url": "https://server.invalid"}],  # documents.py puts the request's origin in its place
    # No validator, since it would send the document's URL to another host.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "tryItOutEnabled": True, "validatorUrl": None},
    "REDOC_DIST": "SIDECAR",
}

# -- cache ------------------------------------------------------------------------------------------------------

CACHE = env.read_choice("CACHE", "on", ("on", "off"))
# Milliseconds for which a process trusts its last read of the change log, and for which a write waits before it is
# acknowledged.
CACHE_LEASE_MS = env.read_count("CACHE_LEASE_MS", 20, most=1000, least=0)
# Seconds for which shared caches (CDNs, proxies) may give public answers without asking; these may be so old then.
CACHE_S_MAXAGE = env.read_count("CACHE_S_MAXAGE", 0, most=86_400, least=0)
# The bytes of answers that each web process keeps in its own memory, in addition to Redis.
CACHE_MEMORY_BYTES = env.read_count("CACHE_MEMORY_BYTES", 67_108_864, most=2**40, least=0)
CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS_URL:
    CACHES["default"] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "tenfold",
        "OPTIONS": {
            # By default a call to a hung Redis takes 5 s. After one failed call answers are no longer read from Redis
            # (in_redis.py), after three rates are no longer counted there (rate_store.py).
            "SOCKET_CONNECT_TIMEOUT": 0.1,
            "SOCKET_TIMEOUT": 0.1,
            # Bytes only: unpickling would run code for anybody who can write to Redis.
            "CLIENT_CLASS": "config.api.gates.in_redis.BytesClient",
            # Python's lock lets a process use no more connections at once: 400 threads take 0.1 s with 16, and 0.4 s
            # with 150. A thread waits for a free connection; an error would look as if Redis were away.
            "CONNECTION_POOL_CLASS": "redis.connection.BlockingConnectionPool",
            "CONNECTION_POOL_KWARGS": {"max_connections": 16, "timeout": 0.1},
        },
    }

# -- database ---------------------------------------------------------------------------------------------------

# Whether reads are prepared. PgBouncer in transaction mode supports this since 1.22.
DATABASE_PREPARE = env.read_flag("DATABASE_PREPARE", True)
DATABASE_POOL = env.read_count("DATABASE_POOL", 0, most=1000, least=0)
# Milliseconds that a request's statement may take on PostgreSQL. It may wait half as long for a lock
# (config/process/limits.py).
STATEMENT_TIMEOUT_MS = env.read_count("STATEMENT_TIMEOUT_MS", 10_000, most=3_600_000, least=100)
DATABASES: dict[str, Any] = {
    "default": env.read_database_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'tenfold.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;",
            # A writer waits for its lock at BEGIN. A deferred transaction would fail at its first write after a read.
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
        },
    }
elif DATABASE_POOL:
    # Django doesn't allow a pool together with CONN_MAX_AGE. The pool opens at the first query, so after the fork.
    DATABASES["default"] |= {
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "pool": {
                "max_size": DATABASE_POOL,
                "min_size": env.read_count("DATABASE_POOL_MIN", 1, most=DATABASE_POOL, least=0),
                "timeout": env.read_count("DATABASE_POOL_TIMEOUT", 3, most=60),
                "max_lifetime": env.read_count("DATABASE_POOL_RECYCLE", 3600, most=86_400),
            }
        },
    }
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 600}
if DATABASE_PREPARE and DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # Without a threshold psycopg prepares nothing, not even on request. Django's own cursor never prepares.
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 5
DATABASES["default"]["CONN_HEALTH_CHECKS"] = not DATABASE_POOL
# Server-side cursors fail behind PgBouncer in transaction mode. Nothing here uses them: long reads are short queries by
# key.
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
# Exports read the same database with their own connections, so that they never use up those of requests. They return a
# connection after each chunk.
DATABASES["exports"] = DATABASES["default"] | {"TEST": {"MIRROR": "default"}}
if DATABASES["exports"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["exports"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    DATABASES["exports"]["OPTIONS"] = DATABASES["default"].get("OPTIONS", {}) | {
        # A single stream reads two chunks at once and finds the next one's end; several streams read one chunk each.
        "pool": {"min_size": 0, "max_size": 2 * EXPORT_STREAMS + 1, "timeout": 10}
    }
# Replicas have the primary's options. A short time-out: if a replica is down, others can answer.
DATABASE_REPLICAS: list[str] = []
for number, replica in enumerate(env.read_replica_urls("DATABASE_REPLICA_URLS", of=DATABASES["default"]), start=1):
    DATABASE_REPLICAS.append(f"replica{number}")
    for name, like in ((f"replica{number}", "default"), (f"exports_replica{number}", "exports")):
        options = DATABASES[like].get("OPTIONS", {}) | {"connect_timeout": 2}
        DATABASES[name] = DATABASES[like] | replica | {"OPTIONS": options, "TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = ["config.api.database.replicas.Router"] if DATABASE_REPLICAS else []
CHANGE_MODEL = "catalog.Change"  # the model of the change log, by name since config.api imports no app
# Days that changes are kept. A feed's cursor before them is 410.
CHANGE_RETENTION_DAYS = env.read_count("CHANGE_RETENTION_DAYS", 90, most=36_500)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- background work --------------------------------------------------------------------------------------------

RQ_SERIALIZER = "rq.serializers.JSONSerializer"

TASKS: dict[str, Any] = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
# Its app is installed without Redis too, so that the same migrations are there when Redis comes.
RQ_QUEUES: dict[str, Any] = {}
if REDIS_URL:
    TASKS["default"] = {"BACKEND": "django_tasks_rq.RQBackend"}
    # An hour, since the last task of a job reads all its parts. JSON, since unpickling can run code.
    RQ_QUEUES = {"default": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 3600, "SERIALIZER": RQ_SERIALIZER}}
# config/admin.py shows the queue instead: django-rq's pages are open to any staff, and have no style.
RQ_SHOW_ADMIN_LINK = False
# Seconds without a renewal after which another worker may take over a job.
JOB_LEASE_SECONDS = env.read_count("JOB_LEASE_SECONDS", 15, most=3600)
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.serving.static_files.SubPathStorage"},
    "jobs": env.read_storage_url("EXPORT_STORAGE_URL", f"file://{BASE_DIR / 'exports_files'}"),
    "media": env.read_storage_url("MEDIA_STORAGE_URL", f"file://{BASE_DIR / 'media_files'}"),
}
# The bytes and the pixels of an uploaded picture. Forty million pixels take 160 MB while it is checked.
MEDIA_MAX_BYTES = env.read_count("MEDIA_MAX_BYTES", 20 * 2**20, most=2**30, least=1024)
MEDIA_MAX_PIXELS = env.read_count("MEDIA_MAX_PIXELS", 40_000_000, most=500_000_000)
# S3 allows 10,000 pieces of an upload, so a file may have 160 GB.
AWS_S3_FILE_BUFFER_SIZE = 16 * 1024 * 1024
# A user's limits for exports: unfinished and ready jobs, and the bytes of their files.
EXPORT_QUOTA_JOBS = env.read_count("EXPORT_QUOTA_JOBS", 20, most=10_000)
EXPORT_QUOTA_BYTES = env.read_count("EXPORT_QUOTA_BYTES", 20 * 2**30, most=2**60)
# A user's limit of unfinished imports, and a file's limits: bytes as sent, bytes after decompression, and the ratio
# of both (a catalogue compresses to a tenth or a thirtieth, a decompression bomb to a thousandth).
IMPORT_QUOTA_JOBS = env.read_count("IMPORT_QUOTA_JOBS", 10, most=10_000)
IMPORT_MAX_BYTES = env.read_count("IMPORT_MAX_BYTES", 2**30, most=2**40, least=1024)
IMPORT_MAX_UNPACKED_BYTES = env.read_count("IMPORT_MAX_UNPACKED_BYTES", 2**34, most=2**44, least=1024)
IMPORT_MAX_RATIO = env.read_count("IMPORT_MAX_RATIO", 200, most=100_000)
# The admin's first page counts stock with at most so many free pieces as low.
LOW_STOCK = env.read_count("LOW_STOCK", 5, most=1_000_000, least=0)
# How long an order may be placed and not paid. Then a worker cancels it, and its pieces are free. 0: for ever.
RESERVATION_MINUTES = env.read_count("RESERVATION_MINUTES", 0, most=525_600, least=0)
# Whether the change log keeps the rows that imports overwrite, so that an import can be undone.
IMPORT_KEEPS_BEFORE = env.read_flag("IMPORT_KEEPS_BEFORE", True)

# -- webhooks ---------------------------------------------------------------------------------------------------

# Networks that webhooks may be sent to although they aren't the internet's, as in 10.1.0.0/16.
WEBHOOK_ALLOW_NETWORKS = env.read_networks("WEBHOOK_ALLOW_NETWORKS")

# -- mails ------------------------------------------------------------------------------------------------------

MAILERS = {"default": env.read_email_url("EMAIL_URL", "consolemail://")}
DEFAULT_FROM_EMAIL = env.read_text("EMAIL_FROM", f"tenfold@{urlsplit(PUBLIC_URL).hostname}")

# -- pages and their files --------------------------------------------------------------------------------------

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
# Static files are served from the packages, so no collectstatic is needed.
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"  # DRF writes times in this zone, and the API promises `Z`
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"  # Django's English formats would override a DATETIME_FORMAT here

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tenfold",
    "SITE_HEADER": "Tenfold",
    "SITE_SUBHEADER": "Product catalogue",
    "SITE_SYMBOL": "inventory_2",
    # A little lighter than unfold's own, so that links on dark ground have a contrast of 4.5 (axe: color-contrast).
    "COLORS": {"primary": {"500": "oklch(66.5% .235 304)"}},
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "config.api.admin.site.find_icon"}],
    "SITE_URL": "config.api.admin.site.find_home",
    "SCRIPTS": ["config.api.admin.site.find_script"],
    "STYLES": ["config.api.admin.site.find_style"],
    "DASHBOARD_CALLBACK": "config.api.admin.dashboard.fill_dashboard",
    "ACCOUNT": {"navigation": "config.api.admin.account_links.list_account_links"},
    "SIDEBAR": {"navigation": "config.api.admin.site.list_sidebar"},
}

# -- development only -------------------------------------------------------------------------------------------

if DEBUG:
    INSTALLED_APPS += ["debug_toolbar"]
    # Django answers each request, not the cache, so that the toolbar sees it.
    MIDDLEWARE.remove("config.middleware.CacheTwin")
    # Inside the compression, since the toolbar can't add itself to a compressed page. And after the static files: an
    # admin page has so many that they would fill the toolbar's history.
    static = MIDDLEWARE.index("whitenoise.middleware.WhiteNoiseMiddleware")
    MIDDLEWARE.insert(static + 1, "debug_toolbar.middleware.DebugToolbarMiddleware")
    INTERNAL_IPS = ["127.0.0.1", "::1"]
    DEBUG_TOOLBAR_PANELS = [
        "debug_toolbar.panels.history.HistoryPanel",
        "debug_toolbar.panels.timer.TimerPanel",
        "config.toolbar.SQLPanel",
        "debug_toolbar.panels.headers.HeadersPanel",
        "debug_toolbar.panels.request.RequestPanel",
        "debug_toolbar.panels.templates.TemplatesPanel",
        "debug_toolbar.panels.staticfiles.StaticFilesPanel",
        "debug_toolbar.panels.cache.CachePanel",
        "debug_toolbar.panels.signals.SignalsPanel",
        "debug_toolbar.panels.settings.SettingsPanel",
        "debug_toolbar.panels.versions.VersionsPanel",
    ]
