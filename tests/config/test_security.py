"""What browsers are told to refuse, and what a server behind TLS adds."""

import http.client
import re
from typing import Any

import pytest
from django.test import Client

from tests.config.test_env import read_settings
from tests.launching import find_database_url, launch_server, run_command

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ("/", "/api/v1/docs/", "/api/v1/redoc/", "/api/v1/products/", "/api/v1/auth/session/login/")


def read_policy(header: str) -> dict[str, list[str]]:
    parts = (part.split() for part in header.split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_only_our_own_scripts(path: str, client: Client) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    policy = read_policy(answer["Content-Security-Policy"])
    assert {"'unsafe-eval'", "'unsafe-inline'", "*", "https:"}.isdisjoint(policy["script-src"])
    # What a page names no rule for, where its relative addresses lead, and who gets its forms.
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'self'"]
    assert policy["object-src"] == policy["frame-ancestors"] == ["'none'"]
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
    # What is inline has this answer's nonce, or the browser doesn't run it.
    nonces = {value for value in policy["script-src"] if value.startswith("'nonce-")}
    inline = re.findall(r"<script(?![^>]*\ssrc=)([^>]*)>", answer.content.decode())
    for attributes in inline:
        if "json" not in attributes:
            assert any(nonce.strip("'").removeprefix("nonce-") in attributes for nonce in nonces), attributes


def test_no_other_sites_script_reads_an_answer(client: Client) -> None:
    for method in ("get", "options"):
        answer = getattr(client, method)("/api/v1/products/", headers={"Origin": "https://elsewhere.example"})
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


@pytest.mark.once
@pytest.mark.slow
def test_behind_tls_browsers_are_told_to_stay_there() -> None:
    with launch_server(DATABASE_URL=find_database_url(), HTTPS="true") as (url, _):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", "/api/v1/auth/session/login/", headers={"Accept": "text/html"})
            plain = connection.getresponse()
            plain.read()
            headers = {"Accept": "text/html", "X-Forwarded-Proto": "https"}
            connection.request("GET", "/api/v1/auth/session/login/", headers=headers)
            secure = connection.getresponse()
            secure.read()
            connection.request("GET", "/livez")  # a probe asks the process itself
            assert connection.getresponse().status == 200
        finally:
            connection.close()
    assert (plain.status, plain.headers["Location"][:8]) == (301, "https://")
    assert secure.status == 200
    # Of this host alone: the other hosts of the domain may not speak TLS.
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Secure" in secure.headers["Set-Cookie"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("asked", "header"),
    [
        ({"HSTS_SUBDOMAINS": "true"}, "max-age=31536000; includeSubDomains"),
        ({"HSTS_SUBDOMAINS": "true", "HSTS_PRELOAD": "true"}, "max-age=31536000; includeSubDomains; preload"),
    ],
    ids=str,
)
def test_hsts_options_are_sent_if_they_are_set(
    asked: dict[str, str], header: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in read_settings(monkeypatch, HTTPS="true", **asked).items():
        if name.startswith("SECURE_"):
            setattr(settings, name, value)
    answer = Client().get("/livez", headers={"X-Forwarded-Proto": "https"})
    assert answer["Strict-Transport-Security"] == header


@pytest.mark.slow
def test_a_preload_list_takes_no_host_without_its_subdomains() -> None:
    done = run_command("manage.py", "check", HSTS_PRELOAD="true")
    assert (done.returncode, "HSTS_PRELOAD=true needs HSTS_SUBDOMAINS=true" in done.stderr) == (1, True)


@pytest.mark.faults  # `make audit`, which runs beside the suite in CI, writes it whenever it runs
def test_the_bill_of_materials_names_what_is_locked(tmp_path: pytest.TempPathFactory) -> None:
    file = f"{tmp_path}/sbom.json"
    done = run_command("-m", "cyclonedx_py", "requirements", "requirements.lock", "--output-file", file)
    assert done.returncode == 0, done.stderr
    with open(file) as stream:
        assert '"name": "django"' in stream.read()
