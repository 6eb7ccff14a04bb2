"""DEBUG: the toolbar is there for developers, sees every statement, and is nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.launching import find_database_url

pytestmark = [pytest.mark.slow, pytest.mark.once]

ROOT = Path(__file__).parent.parent.parent
PAGES = ("/", "/api/v1/products/", "/admin/login/", "/api/v1/docs/")
# A browser takes packed pages; each is asked twice, since the second time it might be answered from what was kept.
CODE = f"""
import json, re, django
from gzip import decompress
django.setup()
from django.test import Client
client = Client(HTTP_HOST="localhost")

def read(path, accept):
    answer = client.get(path, headers={{"Accept": accept, "Accept-Encoding": "gzip"}})
    assert answer.status_code == 200, (path, answer.status_code)
    body = b"".join(answer)
    return (decompress(body) if answer.get("Content-Encoding") == "gzip" else body).decode()

def find_request(page):
    found = re.search('data-request-id="([^"]+)"', page)
    return found and found[1]

def show(request, panel):
    path = f"/__debug__/render_panel/?request_id={{request}}&panel_id={{panel}}"
    return client.get(path).json()["content"] if request else ""

pages = {{}}
for path in {PAGES!r}:
    read(path, "text/html")
    pages[path] = find_request(page := read(path, "text/html"))
for _ in range(40):
    read("/static/tenfold/icon.svg", "*/*")
for _ in range(3):
    read("/api/v1/products/?sku=acme&page=1", "application/json")
history = client.get("/__debug__/history_refresh/", {{"request_id": pages["/"]}}).json() if pages["/"] else {{}}
asked = [request["id"] for request in history.get("requests", ()) if "sku=acme" in request["content"]]
print(json.dumps({{
    "shown": [path for path in pages if pages[path]],
    "statements": show(pages["/api/v1/products/"], "SQLPanel"),
    "asked": [show(request, "SQLPanel") for request in asked],
}}))
"""


def run() -> dict[str, Any]:
    # The log's thread would write its lines among the printed ones.
    own = {"DEBUG": "true", "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": find_database_url()}
    own["LOG_LEVEL"] = "CRITICAL"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | own
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.django_db
def test_with_debug_each_page_has_the_toolbar_and_it_sees_each_statement() -> None:
    seen = run()
    assert seen["shown"] == list(PAGES)
    # Prepared, on PostgreSQL: Django's own cursors know nothing of it.
    assert "catalog_product" in seen["statements"]
    # JSON bears no toolbar; the history has each request, none of them answered from what was kept.
    assert len(seen["asked"]) == 3
    assert all("catalog_brand" in panel and "acme" in panel for panel in seen["asked"])


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
def test_without_debug_no_page_has_it(path: str, client: Client) -> None:
    """That nothing of it is loaded, tests/config/telemetry/test_start.py says of a process of its own."""
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert "data-request-id" not in answer.content.decode()
