"""Settings that are dangerous where others reach the server: the start is refused, and `check --deploy` names them."""

from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.core.checks import CheckMessage, Tags, run_checks

from config.env import read_origin, write_origin
from config.operation import checks
from config.operation.dangers import find_open_redis, list_local_defaults
from tests.launching import SECRET, run_command
from tests.services import free_port


def start(**variables: str) -> Any:
    return run_command("-m", "config.server", "--check", PORT=str(free_port()), **variables)


OTHERS, HTTPS = {"HOST": "0.0.0.0"}, {"HTTPS": "true"}


# Each danger once, by one of the two ways, and one by both.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("exposed", "variables", "sentence"),
    [
        (OTHERS, {"SECRET_KEY": "abc"}, "SECRET_KEY is too short to be a secret."),
        (HTTPS, {"SECRET_KEY": "abc"}, "SECRET_KEY is too short to be a secret."),
        (OTHERS, {"SECRET_KEY": "a" * 60}, "SECRET_KEY is too short to be a secret."),
        (HTTPS, {"SECRET_KEY": f"django-insecure-{SECRET}"}, "SECRET_KEY is known from examples"),
        (OTHERS, {"DEBUG": "true", "SECRET_KEY": SECRET}, "DEBUG shows tracebacks"),
        (HTTPS, {"ALLOWED_HOSTS": "shop.example.com,*", "SECRET_KEY": SECRET}, "ALLOWED_HOSTS accepts any host name"),
    ],
)
def test_a_server_that_others_reach_refuses_to_start(
    exposed: dict[str, str], variables: dict[str, str], sentence: str
) -> None:
    done = start(**variables, **exposed)
    assert done.returncode == 1
    assert done.stderr.startswith(f"tenfold: {sentence}")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_on_the_loopback_address_dangerous_settings_are_allowed() -> None:
    done = start(SECRET_KEY="abc", DEBUG="true", ALLOWED_HOSTS="*")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_server_with_safe_settings_starts_for_others() -> None:
    done = start(SECRET_KEY=SECRET, HOST="0.0.0.0", HTTPS="true", ALLOWED_HOSTS="shop.example.com")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_deploy_check_has_nothing_against_safe_settings() -> None:
    safe = {
        "SECRET_KEY": SECRET,
        "HTTPS": "true",
        "ALLOWED_HOSTS": "a.example",
        "EMAIL_URL": "smtp+tls://a:b@a.example",
        "PUBLIC_URL": "https://a.example",
    }
    done = run_command("manage.py", "check", "--deploy", **safe)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


def find_ours(**options: Any) -> list[CheckMessage]:
    """What `manage.py check` says of ours, by the registry, in the order of their ids."""
    found = [message for message in run_checks(**options) if (message.id or "").startswith("tenfold.")]
    assert all(message.hint for message in found)
    return sorted(found, key=lambda message: message.id or "")


def test_the_deploy_check_names_each_dangerous_setting(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS, settings.SECRET_KEY = True, ["*"], "abc"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    monkeypatch.setattr(checks, "read_eviction_policy", lambda: "allkeys-lru")
    found = find_ours(tags=[Tags.security, Tags.caches], include_deployment_checks=True)
    assert [message.id for message in found] == [
        *["tenfold.E002"] * 3, "tenfold.E003", "tenfold.E004", "tenfold.W001",
    ]  # fmt: skip
    # They are for production: a developer's own `check` asks for none of them.
    assert find_ours(tags=[Tags.security, Tags.caches]) == []


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("", False),
        ("redis://127.0.0.1:6379/0", False),
        ("redis://localhost:6379/0", False),
        ("redis://[::1]:6379/0", False),
        ("unix:///run/redis.sock", False),
        ("redis://:secret@redis:6379/0", False),
        ("rediss://tenfold:secret@redis:6379/0", False),
        ("redis://redis:6379/0", True),
        ("rediss://10.0.0.7:6379/0", True),
        ("redis://tenfold@10.0.0.7/0", True),
    ],
)
def test_a_redis_on_another_machine_needs_a_password(url: str, is_open: bool, settings: Any) -> None:
    settings.REDIS_URL = url
    assert (find_open_redis() is not None) == is_open
    warnings = [warning.id for warning in checks.check_redis_password()]
    assert warnings == (["tenfold.W003"] if is_open else [])


@pytest.mark.parametrize(("host", "origin"), [("127.0.0.1", "http://127.0.0.1:80"), ("::", "http://[::]:80")])
def test_the_default_of_the_public_address_is_one_for_each_host(
    host: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    assert read_origin("PUBLIC_URL", write_origin(host, 80)) == origin


@pytest.fixture
def public(settings: Any) -> Any:
    """Settings of a server that others use, with all defaults for one's own machine."""
    settings.PUBLIC_HOSTS, settings.PUBLIC_URL = ["shop.example.com"], settings.LOCAL_URL
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
    return settings


def list_names() -> list[str]:
    assert [warning.id for warning in checks.check_local_defaults()] == ["tenfold.W005"] * len([*list_local_defaults()])
    return [danger.name for danger in list_local_defaults()]


def test_defaults_for_ones_own_machine_are_named_where_others_use_the_server(public: Any) -> None:
    assert list_names() == ["PUBLIC_URL", "EMAIL_URL"]
    public.PUBLIC_URL = "http://localhost:9000"
    assert list_names() == ["PUBLIC_URL", "EMAIL_URL"]
    public.PUBLIC_URL = "https://shop.example.com"
    assert list_names() == ["EMAIL_URL"]
    public.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}}
    assert list_names() == []


@pytest.mark.parametrize(("name", "value"), [("HOST", "0.0.0.0"), ("HTTPS", True), ("HOST", "::")])
def test_whoever_listens_for_others_is_asked_for_them_too(name: str, value: object, public: Any) -> None:
    public.PUBLIC_HOSTS = []
    assert list_names() == []
    setattr(public, name, value)
    public.PUBLIC_URL = public.LOCAL_URL = "http://10.0.0.7:8000"
    assert list_names() == ["PUBLIC_URL", "EMAIL_URL"]
    public.DEBUG = True
    assert list_names() == []


@pytest.mark.parametrize("policy", ["", "noeviction", "volatile-lru"])
def test_a_cache_that_forgets_only_what_expires_is_fine(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "read_eviction_policy", lambda: policy)
    assert checks.check_eviction() == []


@pytest.mark.django_db  # one of the checks looks at the triggers
def test_pools_that_keep_connections_and_cursors_that_span_statements_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 600, "OPTIONS": {"pool": {"max_size": 4}}}
    # Not the settings fixture: it would tell Django's own connections.
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": postgres}))
    found = find_ours(tags=[Tags.database], databases=["default"])
    assert [message.id for message in found] == ["tenfold.E005", "tenfold.W002"]


def test_two_caches_on_one_redis_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    alias = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:6379/0"}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(CACHES={"default": alias, "other": alias | {"TIMEOUT": 5}}))
    [error] = find_ours(tags=[Tags.caches])
    assert error.id == "tenfold.E001"


@pytest.mark.both
def test_the_eviction_policy_is_what_redis_says(settings: Any) -> None:
    if not settings.REDIS_URL:
        pytest.skip("the embedded cache has no Redis")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        try:
            assert checks.read_eviction_policy() == "allkeys-lfu"
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_our_own_settings_pass_both_checks() -> None:
    assert checks.check_pools() == checks.check_server_side_cursors() == []


@pytest.mark.slow
def test_a_pool_that_was_opened_before_the_fork_stops_the_worker() -> None:
    code = (
        "import django; django.setup(); from django.db import connection; connection.pool\n"
        "from config.server import load_application; load_application()"
    )
    done = run_command(
        "-c",
        code,
        DJANGO_SETTINGS_MODULE="config.settings",
        DATABASE_URL="postgres://a@127.0.0.1:1/a",
        DATABASE_POOL="2",
    )
    assert done.returncode == 1
    assert "a connection pool was opened before the web workers forked" in done.stderr
