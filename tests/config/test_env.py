"""A bad value stops the start: one sentence with the variable, the value and the remedy."""

import runpy
from typing import Any

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env
from tests.launching import ROOT, run_command

POSTGRES = "postgres://shop:hush@db.example:5432/shop"


def read_settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """The settings as a process with these variables alone would read them."""
    monkeypatch.setattr(environ.Env, "read_env", lambda file: None)
    for name in env.NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"SECRET_KEY": "for tests"} | variables).items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "config" / "settings.py"))


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("DEBUG", "yes", "true, false"),
        ("HTTPS", "1", "true, false"),
        ("PORT", "70000", "1 to 65535"),
        ("PUBLIC_URL", "shop.example", "PUBLIC_URL=https://shop.example.com"),
        ("PRODUCT_URL_TEMPLATE", "https://shop.example/p", "PRODUCT_URL_TEMPLATE=https://shop.example.com/p/{slug}"),
        ("PRODUCT_URL_TEMPLATE", "https://shop.example/{name}", "expected a URL with one of {slug}, {id}, {sku}"),
        ("PRODUCT_URL_TEMPLATE", "https://shop.example/{slug", "expected a URL with one of {slug}, {id}, {sku}"),
        ("PRODUCT_URL_TEMPLATE", "/p/{slug}", "expected a URL with one of {slug}, {id}, {sku}"),
        ("PUBLIC_URL", "https://shop.example/shop", "PUBLIC_URL=https://shop.example.com"),
        ("PORT", "8_000", "PORT=8000"),
        ("PORT", "", "PORT=8000"),
        ("WEB_THREADS", "0", "1 to 256"),
        ("WEB_WORKERS", "two", "1 to 256"),
        ("WEB_WORKERS", "4", "needs REDIS_URL"),
        ("EXPORT_STREAMS", "4", "leaves no thread"),
        ("LOG_LEVEL", "verbose", "WARNING"),
        ("LOG_FORMAT", "xml", "json, console"),
        ("CACHE", "true", "on, off"),
        ("CURRENCY", "usd", "CURRENCY=USD"),
        ("MAX_BODY_BYTES", "10", "from 1024"),
        ("RATE_LIMIT_ANON", "3000/min", "N/minute, N/hour, N/day or off, as in RATE_LIMIT_ANON=3000/minute"),
        ("RATE_LIMIT_TOKEN", "0/second", "N/second"),
        ("RATE_LIMIT_LOGIN", "false", "or off"),
        ("TRUSTED_PROXIES", "yes", "0 to 10"),
        ("REDIS_URL", "127.0.0.1:6379", "redis://127.0.0.1:6379/0"),
        ("DATABASE_POOL", "-1", "0 to 1000"),
        ("BASE_PATH", "shop", "BASE_PATH=/shop"),
        ("BASE_PATH", "/a/../b", "BASE_PATH=/shop"),
        ("BASE_PATH", "/api/shop", "begins with none of admin, api,"),
        ("CORS_ALLOWED_ORIGINS", "*", "Patterns are for CORS_ALLOWED_ORIGIN_REGEXES"),
        ("CORS_ALLOWED_ORIGINS", "https://shop.example/", "CORS_ALLOWED_ORIGINS=https://shop.example.com"),
        ("CORS_ALLOWED_ORIGINS", "https://Shop.example", "as browsers send them"),
        ("CORS_ALLOWED_ORIGINS", "https://shop.example:443", "as browsers send them"),
        ("CORS_ALLOWED_ORIGIN_REGEXES", "https://(", "regular expressions, separated by blanks"),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read_settings(monkeypatch, **{name: value})
    sentence = str(caught.value)
    assert name in sentence
    assert value in sentence
    assert remedy in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_POOL_MIN", "21"), ("DATABASE_POOL_TIMEOUT", "0"), ("DATABASE_POOL_RECYCLE", "day")]
)
def test_a_bad_value_of_the_pool_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name}='{value}': expected a whole number"):
        read_settings(monkeypatch, DATABASE_URL=POSTGRES, DATABASE_POOL="20", **{name: value})


@pytest.mark.parametrize("url", ["mysql://shop:hush@db/shop", "postgres//shop:hush@db/shop", "sqlite", ""])
def test_a_bad_database_url_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL: expected postgres://") as caught:
        read_settings(monkeypatch, DATABASE_URL=url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("DATABSE_URL", "DATABASE_URL"), ("REDISURL", "REDIS_URL"), ("SECRETKEY", "SECRET_KEY"), ("WEB_WORKER", "WEB_W")],
)
def test_a_near_miss_of_a_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name} is not a setting of Tenfold: did you mean {meant}"):
        read_settings(monkeypatch, **{name: "whatever"})


def test_a_missing_secret_is_refused_with_the_way_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set: `make run` writes one"):
        read_settings(monkeypatch, SECRET_KEY=" ")


def test_without_variables_it_is_sqlite_on_the_loopback_address(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(monkeypatch)
    assert settings["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"
    assert (settings["HOST"], settings["PORT"], settings["DEBUG"]) == ("127.0.0.1", 8000, False)


def test_persistent_connections_are_the_default_on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    database = read_settings(monkeypatch, DATABASE_URL=POSTGRES)["DATABASES"]["default"]
    assert database["CONN_MAX_AGE"] == 600
    assert database["CONN_HEALTH_CHECKS"] is True
    assert "pool" not in database.get("OPTIONS", {})


def test_a_pool_has_its_four_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    database = read_settings(
        monkeypatch,
        DATABASE_URL=POSTGRES,
        DATABASE_POOL="20",
        DATABASE_POOL_MIN="2",
        DATABASE_POOL_TIMEOUT="4",
        DATABASE_POOL_RECYCLE="900",
    )["DATABASES"]["default"]
    # Django refuses a pool beside persistent connections.
    assert database["CONN_MAX_AGE"] == 0
    pool = database["OPTIONS"]["pool"]
    assert {name: pool[name] for name in ("min_size", "max_size", "timeout", "max_lifetime")} == {
        "min_size": 2,
        "max_size": 20,
        "timeout": 4,
        "max_lifetime": 900,
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", [("manage.py", "check"), ("-m", "config.server"), ("manage.py", "work")])
def test_a_command_says_one_sentence_and_no_traceback(command: tuple[str, ...]) -> None:
    done = run_command(*command, PORT="eighty")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "tenfold: PORT='eighty': expected a whole number from 1 to 65535, as in PORT=8000\n"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp+tls://mia:hush@mail.example", {"port": 587, "use_tls": True, "use_ssl": False, "password": "hush"}),
        ("smtp+ssl://mia:hush@mail.example", {"port": 465, "use_tls": False, "use_ssl": True, "username": "mia"}),
        ("smtp://mail.example:25", {"port": 25, "use_tls": False, "use_ssl": False, "username": ""}),
    ],
)
def test_mails_go_where_the_url_says(url: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(monkeypatch, EMAIL_URL=url, PUBLIC_URL="https://shop.example:8443/")
    assert options.items() <= settings["MAILERS"]["default"]["OPTIONS"].items()
    assert settings["DEFAULT_FROM_EMAIL"] == "tenfold@shop.example"
    assert settings["PUBLIC_URL"] == "https://shop.example:8443"


@pytest.mark.parametrize("url", ["imap://mia:hush@mail.example", "smtp://", "smtp://mia:hush@mail.example:port"])
def test_a_bad_mail_url_is_refused_without_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"EMAIL_URL: expected smtp\+tls://USER:PASSWORD@HOST:587") as caught:
        read_settings(monkeypatch, EMAIL_URL=url)
    assert "hush" not in str(caught.value)


def test_mails_are_printed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(monkeypatch, PORT="8001")
    assert settings["MAILERS"]["default"]["BACKEND"].endswith("console.EmailBackend")
    assert settings["PUBLIC_URL"] == "http://127.0.0.1:8001"
