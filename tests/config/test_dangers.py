"""Settings that are dangerous where others reach the server: the start is refused, and `check --deploy` names them."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import Error

from config import checks
from tests.launching import SECRET, run_command
from tests.services import free_port


def start(**variables: str) -> Any:
    return run_command("-m", "config.server", "--check", PORT=str(free_port()), **variables)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SECRET_KEY": "abc"}, "SECRET_KEY is too short to be a secret."),
        ({"SECRET_KEY": "a" * 60}, "SECRET_KEY is too short to be a secret."),
        ({"SECRET_KEY": f"django-insecure-{SECRET}"}, "SECRET_KEY is known from examples"),
        ({"DEBUG": "true", "SECRET_KEY": SECRET}, "DEBUG shows tracebacks"),
        ({"ALLOWED_HOSTS": "shop.example.com,*", "SECRET_KEY": SECRET}, "ALLOWED_HOSTS takes any name"),
    ],
)
@pytest.mark.parametrize("exposed", [{"HOST": "0.0.0.0"}, {"HTTPS": "true"}], ids=["all addresses", "HTTPS"])
def test_a_server_that_others_reach_refuses_to_start(
    variables: dict[str, str], sentence: str, exposed: dict[str, str]
) -> None:
    done = start(**variables, **exposed)
    assert done.returncode == 1
    assert done.stderr.startswith(f"tenfold: {sentence}")
    assert done.stderr.count("\n") == 1


def test_on_the_loopback_address_they_are_ones_own_business() -> None:
    done = start(SECRET_KEY="abc", DEBUG="true", ALLOWED_HOSTS="*")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_with_safe_settings_starts_for_others() -> None:
    done = start(SECRET_KEY=SECRET, HOST="0.0.0.0", HTTPS="true", ALLOWED_HOSTS="shop.example.com")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_deploy_check_has_nothing_against_safe_settings() -> None:
    done = run_command("manage.py", "check", "--deploy", SECRET_KEY=SECRET, HTTPS="true", ALLOWED_HOSTS="a.example")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


def test_the_deploy_check_names_each_foot_gun(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS, settings.SECRET_KEY = True, ["*"], "abc"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    monkeypatch.setattr(checks, "read_eviction_policy", lambda: "allkeys-lru")
    found = checks.check_dangers() + checks.check_toolbar() + checks.check_eviction() + checks.check_https()
    assert [message.id for message in found] == [
        *["tenfold.E002"] * 3, "tenfold.E003", "tenfold.E004", "tenfold.W001",
    ]  # fmt: skip
    assert all(message.hint for message in found)


@pytest.mark.parametrize("policy", ["", "noeviction", "volatile-lru"])
def test_a_cache_that_forgets_only_what_expires_is_fine(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "read_eviction_policy", lambda: policy)
    assert checks.check_eviction() == []


def test_pools_that_keep_connections_and_cursors_that_span_statements_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    postgres = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 600, "OPTIONS": {"pool": {"max_size": 4}}}
    # Not the settings fixture: it would tell Django's own connections.
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": postgres}))
    [error], [warning] = checks.check_pools(), checks.check_server_side_cursors()
    assert isinstance(error, Error)
    assert (error.id, warning.id) == ("tenfold.E005", "tenfold.W002")


def test_our_own_settings_have_neither() -> None:
    assert checks.check_pools() == checks.check_server_side_cursors() == []


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
