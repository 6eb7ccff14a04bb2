"""Every setting, in the order in which a request meets it; what the environment may change is read by env.py."""

import tomllib
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from config import env
from config.logs import build_logging

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

# A file beside manage.py, written by `make run`; what the environment says already stays.
environ.Env.read_env(BASE_DIR / ".env")
env.refuse_near_misses()

# -- the process ------------------------------------------------------------------------------------------------

DEBUG = env.read_flag("DEBUG", False)
LOGGING = build_logging(
    env.read_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    env.read_choice("LOG_FORMAT", "json", ("json", "console")),
)

# Who brings it may read /metrics, from anywhere. METRICS_FOLDER is read by config/metrics.py, which needs no settings.
METRICS_TOKEN = env.read_text("METRICS_TOKEN", "")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "config.api.apps.AdminConfig",  # django.contrib.admin with the site of config/api/admin/site.py
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
REDIS_URL = env.read_redis_url("REDIS_URL")
WEB_WORKERS = env.read_count("WEB_WORKERS", 1, most=256)
WEB_THREADS = env.read_count("WEB_THREADS", 4, most=256)
# Each takes a thread for as long as its client reads; the rest of them is for everybody else.
EXPORT_STREAMS = env.read_count("EXPORT_STREAMS", max(1, WEB_THREADS // 2), most=256)
if EXPORT_STREAMS >= WEB_THREADS > 1:
    raise ImproperlyConfigured(
        f"EXPORT_STREAMS={EXPORT_STREAMS} leaves no thread to the rest of the API: less than WEB_THREADS={WEB_THREADS}"
    )
# Between SIGTERM and the end: unready, and each answer ends its connection.
DRAIN_SECONDS = env.read_count("DRAIN_SECONDS", 2, most=300, least=0)
if WEB_WORKERS > 1 and not REDIS_URL:
    raise ImproperlyConfigured(
        f"WEB_WORKERS={WEB_WORKERS} needs REDIS_URL: without Redis each worker would keep a cache of its own"
    )

ALLOWED_HOSTS = env.read_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
# The proxy ends TLS; without one, plain HTTP on the loopback address.
HTTPS = env.read_flag("HTTPS", False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
# A probe asks the process itself, not the proxy.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]

# -- middleware, from the outside in ----------------------------------------------------------------------------

MIDDLEWARE = [
    "config.middleware.CacheTwin",  # what CacheGate does before Django, where there is none
    "config.middleware.AccessLog",  # outermost: times and names whatever happens inside
    "config.middleware.BodyLimit",
    "config.middleware.TextPath",
    "config.middleware.GZipMiddleware",  # Django's, with brotli and zstd
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
]
CSRF_FAILURE_VIEW = "config.api.problems.error_handler.answer_csrf_failure"
# OptionalSlash answers without a redirect, which would turn a POST into a GET.
APPEND_SLASH = False
X_FRAME_OPTIONS = "DENY"
# Images of products lie on other hosts; DRF's and Swagger UI's pages style inline. config.api.admin relaxes /admin/.
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

# -- routes, sessions, who ---------------------------------------------------------------------------------------

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
    "config.api.access.logins.LoginLimit",  # first: it stops whoever tries too often, and knows nobody
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "/api/v1/"
KNOX_TOKEN_MODEL = "accounts.AuthToken"
# Its own migrations would make a second token table, which nobody fills and no flush can truncate.
MIGRATION_MODULES = {"knox": None}
REST_KNOX: dict[str, Any] = {
    "TOKEN_TTL": None,  # the lifetime is given with each token, 90 days by default
    "TOKEN_LIMIT_PER_USER": 50,
    "AUTH_HEADER_PREFIX": "Token",
}

# -- the API ----------------------------------------------------------------------------------------------------

# The greatest body that is read into memory; uploads of files are streams.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.read_count("MAX_BODY_BYTES", 2_621_440, most=1_073_741_824, least=1024)
CURRENCY = env.read_currency("CURRENCY", "USD")

# How many proxies stand in front and append to X-Forwarded-For; what stands before theirs anybody can make up.
TRUSTED_PROXIES = env.read_count("TRUSTED_PROXIES", 0, most=10, least=0)
RATE_LIMIT_ANON = env.read_rate("RATE_LIMIT_ANON", "3000/minute")
RATE_LIMIT_TOKEN = env.read_rate("RATE_LIMIT_TOKEN", "30000/minute")
RATE_LIMIT_LOGIN = env.read_rate("RATE_LIMIT_LOGIN", "10/minute")

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
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
    "URL_FORMAT_OVERRIDE": None,  # ?format= would be one more parameter that changes nothing but the cache's key
    "NUM_PROXIES": TRUSTED_PROXIES,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Tenfold",
    "VERSION": VERSION,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "DESCRIPTION": (
        "A product catalogue as an API, as fast at ten million rows as at ten thousand.\n\n"
        "Lists come by cursor, or by number with `page`. Amounts are decimal strings, times are RFC 3339 in UTC. A "
        "parameter or a value that isn't known is refused by name. Every refusal is a problem document (RFC 9457); "
        "besides those that stand at an operation, 405 answers a method that an address hasn't got, 404 an address "
        "that isn't there, and 500 says that something failed on our side. A request may bring its own "
        "`X-Request-ID` (letters, digits and `._:-`, 100 at most)."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SORT_OPERATION_PARAMETERS": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api.schema.operations.add_components",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ProductStatus": "catalog.models.Product.Status",
        "OrderStatus": "accounts.models.Order.Status",
        "JobStatus": "config.api.jobs.models.Job.Status",
        "RowStatus": "config.api.writes.bulk.STATUSES",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/static/tenfold/icon.svg",
    # No validator: it would send the document's address to another host.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "tryItOutEnabled": True, "validatorUrl": None},
    "REDOC_DIST": "SIDECAR",
}

# -- cache ------------------------------------------------------------------------------------------------------

CACHE = env.read_choice("CACHE", "on", ("on", "off"))
# How long a process trusts what it heard of the change log, and a write waits before it is acknowledged.
CACHE_LEASE_MS = env.read_count("CACHE_LEASE_MS", 20, most=1000, least=0)
# What each web process keeps of answers beside Redis.
CACHE_MEMORY_BYTES = env.read_count("CACHE_MEMORY_BYTES", 67_108_864, most=2**40, least=0)
CACHES: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS_URL:
    CACHES["default"] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "tenfold",
        "OPTIONS": {
            # A hung Redis costs 5 s a call by default. One failed call stops the asking for answers (in_redis.py),
            # three that for rates (rate_store.py).
            "SOCKET_CONNECT_TIMEOUT": 0.1,
            "SOCKET_TIMEOUT": 0.1,
            # Bytes only: unpickling would run code for whoever can write to Redis.
            "CLIENT_CLASS": "config.api.gates.in_redis.BytesClient",
            # A process with the one lock of Python keeps no more busy: 400 threads at once are through in 0.1 s, with
            # 150 connections in 0.4. Whoever finds none free waits for one, or it would look as if Redis were away.
            "CONNECTION_POOL_CLASS": "redis.connection.BlockingConnectionPool",
            "CONNECTION_POOL_KWARGS": {"max_connections": 16, "timeout": 0.1},
        },
    }

# -- database ---------------------------------------------------------------------------------------------------

# Prepared reads; a PgBouncer in transaction mode knows them all since 1.22.
DATABASE_PREPARE = env.read_flag("DATABASE_PREPARE", True)
DATABASE_POOL = env.read_count("DATABASE_POOL", 0, most=1000, least=0)
# How long a statement of a request may take on PostgreSQL; waiting for a lock, half of it (config/process/limits.py).
STATEMENT_TIMEOUT_MS = env.read_count("STATEMENT_TIMEOUT_MS", 10_000, most=3_600_000, least=100)
DATABASES: dict[str, Any] = {
    "default": env.read_database_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'tenfold.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;",
            # A writer takes its lock at BEGIN and waits; a deferred one fails at its first write after a read.
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
        },
    }
elif DATABASE_POOL:
    # Django refuses a pool together with CONN_MAX_AGE. It opens at the first query, so after the fork.
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
    # Without a threshold psycopg prepares nothing, not even on request; Django's own cursor never does.
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 5
DATABASES["default"]["CONN_HEALTH_CHECKS"] = not DATABASE_POOL
# They break behind PgBouncer in transaction mode, and nothing here wants one: long reads go by key, in short queries.
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
# Exports read the same database by connections of their own: they can't take those of requests, and give each back
# once a chunk is read.
DATABASES["exports"] = DATABASES["default"] | {"TEST": {"MIRROR": "default"}}
if DATABASES["exports"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["exports"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    DATABASES["exports"]["OPTIONS"] = DATABASES["default"].get("OPTIONS", {}) | {
        # The only stream reads two chunks at once and looks for the next; several one each.
        "pool": {"min_size": 0, "max_size": 2 * EXPORT_STREAMS + 1, "timeout": 10}
    }
# Replicas are reached as the primary is; a fallen one must be noticed soon, there are others to ask.
DATABASE_REPLICAS: list[str] = []
for number, replica in enumerate(env.read_replica_urls("DATABASE_REPLICA_URLS", of=DATABASES["default"]), start=1):
    DATABASE_REPLICAS.append(f"replica{number}")
    for name, like in ((f"replica{number}", "default"), (f"exports_replica{number}", "exports")):
        options = DATABASES[like].get("OPTIONS", {}) | {"connect_timeout": 2}
        DATABASES[name] = DATABASES[like] | replica | {"OPTIONS": options, "TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = ["config.api.database.replicas.Router"] if DATABASE_REPLICAS else []
CHANGE_MODEL = "catalog.Change"  # the change log, by a name: config.api imports no app
# How long it is kept; a feed's cursor that is older is 410.
CHANGE_RETENTION_DAYS = env.read_count("CHANGE_RETENTION_DAYS", 90, most=36_500)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- background work --------------------------------------------------------------------------------------------

RQ_SERIALIZER = "rq.serializers.JSONSerializer"

TASKS: dict[str, Any] = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
if REDIS_URL:
    INSTALLED_APPS += ["django_rq"]
    TASKS["default"] = {"BACKEND": "django_tasks_rq.RQBackend"}
    # The last task of a job reads all its parts. As JSON: unpickling would run code for whoever can write to Redis.
    RQ_QUEUES = {"default": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 3600, "SERIALIZER": RQ_SERIALIZER}}
# A worker that says nothing for so long loses its piece of a job to another.
JOB_LEASE_SECONDS = env.read_count("JOB_LEASE_SECONDS", 15, most=3600)
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "jobs": env.read_storage_url("EXPORT_STORAGE_URL", f"file://{BASE_DIR / 'exports_files'}"),
}
# S3 takes 10,000 pieces of an upload: 160 GB in one file.
AWS_S3_FILE_BUFFER_SIZE = 16 * 1024 * 1024
# What one user may have at a time: jobs that are under way or ready, and bytes of their files.
EXPORT_QUOTA_JOBS = env.read_count("EXPORT_QUOTA_JOBS", 20, most=10_000)
EXPORT_QUOTA_BYTES = env.read_count("EXPORT_QUOTA_BYTES", 20 * 2**30, most=2**60)
# What one user may have waiting or under way, and what a file may be: bytes as it comes, bytes once unpacked, and how
# many times the one the other may be (a catalogue packs to a tenth or a thirtieth, a bomb to a thousandth).
IMPORT_QUOTA_JOBS = env.read_count("IMPORT_QUOTA_JOBS", 10, most=10_000)
IMPORT_MAX_BYTES = env.read_count("IMPORT_MAX_BYTES", 2**30, most=2**40, least=1024)
IMPORT_MAX_UNPACKED_BYTES = env.read_count("IMPORT_MAX_UNPACKED_BYTES", 2**34, most=2**44, least=1024)
IMPORT_MAX_RATIO = env.read_count("IMPORT_MAX_RATIO", 200, most=100_000)

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
STATIC_URL = "static/"
# Served from the packages themselves: no collectstatic before the first start.
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"  # DRF writes times in the current zone, and the contract says Z
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"  # a DATETIME_FORMAT here would stand behind those of Django's English

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tenfold",
    "SITE_HEADER": "Tenfold",
    "SITE_SUBHEADER": "Product catalogue",
    "SITE_SYMBOL": "inventory_2",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"/{STATIC_URL}tenfold/icon.svg"}],
    "SITE_URL": "/",
    "SIDEBAR": {"navigation": "config.api.admin.site.list_sidebar"},
}

# -- development only -------------------------------------------------------------------------------------------

if DEBUG:
    INSTALLED_APPS += ["debug_toolbar"]
    # Each request is answered by Django, where the toolbar looks on, and not from what was kept.
    MIDDLEWARE.remove("config.middleware.CacheTwin")
    # Inside of what compresses, since it can't write itself into a compressed page, and of the static files, of which
    # a page of the admin has so many that they would be all that it remembers.
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
