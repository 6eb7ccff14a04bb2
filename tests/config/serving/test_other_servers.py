"""Another WSGI server serves `config.wsgi:application` whole: answers, pages, files and streams."""

from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from django.contrib.staticfiles import finders

from tests.factories import make_product
from tests.launching import find_database_url, launch
from tests.services import free_port, wait_for_port

# What another server does differently lies above the database.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.once]

STYLES = "unfold/css/styles.css"


def fetch(url: str, **headers: str) -> tuple[int, str | None, bytes]:
    with urlopen(Request(url, headers=headers), timeout=30) as answer:
        return answer.status, answer.headers["Content-Length"], answer.read()


def test_waitress_serves_all_of_it() -> None:
    make_product(sku="A")
    port = free_port()
    target = (f"--listen=127.0.0.1:{port}", "config.wsgi:application")
    with launch("-m", "waitress", *target, DATABASE_URL=find_database_url()):
        wait_for_port(port)
        server = f"http://127.0.0.1:{port}"
        for _ in range(3):  # the third is a hit of the cache
            assert b'"sku":"A"' in fetch(f"{server}/api/v1/products/")[2]
        file = Path(str(finders.find(STYLES))).read_bytes()
        for _ in range(2):  # a file that a slot closed too early was an empty answer
            assert fetch(f"{server}/static/{STYLES}") == (200, str(len(file)), file)
        assert b"</html>" in fetch(f"{server}/admin/login/")[2]
        assert fetch(f"{server}/livez")[0] == 200
