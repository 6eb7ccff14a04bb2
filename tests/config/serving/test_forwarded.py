"""PROXY_HEADER=Forwarded: only the trusted proxies say who the client is, whatever names clients send."""

import http.client
import shutil
from pathlib import Path

import pytest

from config.serving.forwarded import Environ, use_forwarded
from tests.launching import launch_server, run_command

FORGED = {"HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_X_FORWARDED_PROTO": "https"}


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address", "scheme"),
    [
        (1, "for=198.51.100.7;proto=https", "198.51.100.7", "https"),
        (1, 'For="[2001:db8::17]:4711"; Proto="https";by=10.0.0.1', "[2001:db8::17]:4711", "https"),
        (1, 'for="10.9.9.9, for=198.51.100.7;proto=http', "198.51.100.7", "http"),  # a client's quote stays open
        (1, "for=10.9.9.9;proto=https,for=198.51.100.7", "198.51.100.7", ""),
        (2, "for=10.9.9.9, for=198.51.100.7;proto=https, for=10.0.0.2;proto=http", "198.51.100.7,10.0.0.2", "https"),
        (1, "nonsense", "", ""),
    ],
)
def test_the_trusted_elements_take_the_place_of_other_headers(
    proxies: int, forwarded: str, address: str, scheme: str
) -> None:
    environ: Environ = {"HTTP_FORWARDED": forwarded, **FORGED}
    use_forwarded(environ, proxies)
    assert (environ["HTTP_X_FORWARDED_FOR"], environ["HTTP_X_FORWARDED_PROTO"]) == (address, scheme)


@pytest.mark.parametrize("environ", [{}, {"HTTP_FORWARDED": "for=198.51.100.7"}])
def test_with_fewer_elements_than_proxies_nobody_is_believed(environ: Environ) -> None:
    use_forwarded(environ := {**environ, **FORGED}, 2)
    assert not environ.keys() & FORGED.keys()


@pytest.mark.slow
@pytest.mark.once
def test_over_the_socket_no_other_name_counts(migrated: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{shutil.copy(migrated, tmp_path)}"
    variables = {"PROXY_HEADER": "Forwarded", "TRUSTED_PROXIES": "1", "HTTPS": "true", "RATE_LIMIT_ANON": "2/hour"}
    with launch_server(DATABASE_URL=database, LOG_LEVEL="WARNING", **variables) as (url, _):
        names = ["X_Forwarded_For", "X-Forwarded_For", "X-Forwarded-For"]
        forged = [
            ask(url, "for=198.51.100.7;proto=https", name, f"203.0.113.{number}") for number, name in enumerate(names)
        ]
        plain = [ask(url, "for=198.51.100.8;proto=http", f"X{dash}Forwarded{dash}Proto", "https") for dash in "_-"]
    assert (forged, plain) == ([200, 200, 429], [301, 301])


def ask(url: str, forwarded: str, name: str, value: str) -> int:
    """The status of a request that no cache answers, through a proxy that passes what its client sends."""
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        client.putrequest("GET", f"/api/v1/products/?search={value.replace('.', 'x')}")
        # The client's header comes before the proxy's and after it.
        for header in ((name, value), ("Forwarded", forwarded), (name, value)):
            client.putheader(*header)
        client.endheaders()
        return client.getresponse().status
    finally:
        client.close()


@pytest.mark.slow
@pytest.mark.once
def test_a_header_that_no_proxy_writes_stops_the_start() -> None:
    ended = run_command("-m", "config.server", "--check", PROXY_HEADER="Forwarded", TRUSTED_PROXIES="0")
    assert ended.returncode == 1
    assert "PROXY_HEADER=Forwarded needs TRUSTED_PROXIES" in ended.stderr
