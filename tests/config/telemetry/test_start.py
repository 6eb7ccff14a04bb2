"""Nothing is loaded unless a setting asks for it; what asks for it wrongly stops the start."""

import os
from importlib import util
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from opentelemetry.sdk import environment_variables

from config import env
from tests.config.test_env import read_settings
from tests.launching import run_command

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
DSN = "https://0123456789abcdef@o1.ingest.example/42"

# All of a web process and of a worker; then what it has loaded and put in place.
LOAD = """
import sys
from config import wsgi, logs, worker
from django.core.management import load_command_class
load_command_class("config", "work")
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 1")
# redis-py imports the SDK's metrics wherever they are installed, and we none of these.
ours = {"opentelemetry.sdk.trace", "opentelemetry.propagate", "opentelemetry.exporter", "google.protobuf", "sentry_sdk"}
ours.add("debug_toolbar")
loaded = ours & sys.modules.keys()
print(sorted(loaded), type(wsgi.application).__name__, type(logs._lines).__name__, len(connection.execute_wrappers))
"""

NOTHING = "[] Front deque 1"
ALL = (
    "['google.protobuf', 'opentelemetry.exporter', 'opentelemetry.propagate', 'opentelemetry.sdk.trace', 'sentry_sdk'] "
    "Traced MarkedLines 2"
)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, NOTHING),
        (ENDPOINT | {"SENTRY_DSN": DSN}, ALL),
    ],
)
def test_a_process_loads_what_a_setting_asks_for(variables: dict[str, str], said: str, tmp_path: Any) -> None:
    # The same application, deque and wrappers as without the extra: so it costs nothing.
    url = f"sqlite:///{tmp_path}/t.sqlite3"
    variables = variables | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = run_command("-W", "error", "-c", LOAD, **variables)
    assert done.stdout.strip().splitlines()[:1] == [said], done.stderr


def test_an_endpoint_asks_for_traces_and_a_dsn_for_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(monkeypatch)["TELEMETRY"] == []
    assert read_settings(monkeypatch, **ENDPOINT)["TELEMETRY"] == ["config.telemetry.otel"]
    assert read_settings(monkeypatch, OTEL_TRACES_EXPORTER="otlp")["TRACES"]
    assert not read_settings(monkeypatch, **ENDPOINT, OTEL_TRACES_EXPORTER="none")["TRACES"]
    assert not read_settings(monkeypatch, **ENDPOINT, OTEL_SDK_DISABLED="true")["TRACES"]
    assert read_settings(monkeypatch, SENTRY_DSN=DSN)["TELEMETRY"] == ["config.telemetry.sentry"]


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "expected one of otlp, none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "ratio", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "5%", "from 0 to 1"),
        ("OTEL_EXPORTER_OTLP_ENDPOIN", ENDPOINT["OTEL_EXPORTER_OTLP_ENDPOINT"], "did you mean"),
        ("SENTRY_DSN", "https://o1.ingest.example/42", "https://KEY@HOST/NUMBER"),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read_settings(monkeypatch, **ENDPOINT | {name: value})
    assert name in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(("variables", "extra"), [(ENDPOINT, "otel"), ({"SENTRY_DSN": DSN}, "sentry")])
def test_a_missing_extra_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], extra: str
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    monkeypatch.setattr(env, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=rf"the extra {extra} isn't installed: pip install '\.\[{extra}\]'"):
        read_settings(monkeypatch, **variables)


def test_no_name_of_the_standard_passes_for_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in vars(environment_variables):
        if name.startswith("OTEL_"):
            monkeypatch.setitem(os.environ, name, "")
    env.refuse_near_misses()
