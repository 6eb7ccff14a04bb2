"""The guide's examples of a listener, as they stand there, against a live server."""

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connections

from accounts.models import AuthToken, User
from catalog.models import Change, Product
from tests.factories import make_product
from tests.launching import ROOT, find_database_url, launch_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.once]

GUIDE = (ROOT / "config/api/push/README.md").read_text()
FIRST = "\nimport sys\nprint(next(listen(sys.argv[1]))['sku'], flush=True)\n"


def read_code(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_listener_in_python(tmp_path: Path) -> None:
    (tmp_path / "listener.py").write_text(read_code("python") + FIRST)
    user = User.objects.create_superuser("root@example.com", "secret")
    token = AuthToken.objects.create(user=user)[1]
    make_product(sku="TEA-1")
    cursor = Change.objects.order_by("position").values_list("position", flat=True).first() or 0
    with launch_server(DATABASE_URL=find_database_url()) as (url, _):
        command = [sys.executable, "listener.py", str(cursor)]
        environment = {"TENFOLD": url, "TOKEN": token}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        gone = subprocess.run(
            [*command[:2], "999999"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.stdout.strip() in {"TEA-1", "None"}, done.stderr
    assert "HTTP Error 410" in gone.stderr


def test_the_listener_in_a_browser() -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    root = User.objects.create_superuser("root@example.com", "secret")
    # The tests' own hasher is one that no server takes.
    User.objects.update(password=PBKDF2PasswordHasher().encode("secret", "salt", iterations=1000))
    make_product(sku="TEA-1")
    with launch_server(DATABASE_URL=find_database_url()) as (url, _), playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{url}/admin/login/")
        page.fill("[name=username]", root.email)
        page.fill("[name=password]", "secret")
        page.click("[type=submit]")
        with page.expect_response(lambda answer: "/changes/stream/" in answer.url):
            page.evaluate(f"() => {{ {read_code('js')}; window.changes = changes; }}")
        page.wait_for_function("changes.readyState === EventSource.OPEN")
        with page.expect_console_message() as told:
            in_thread(lambda: Product.objects.update(title="New"))
        assert told.value.text == "TEA-1"
        with page.expect_console_message(timeout=30_000) as ended:
            in_thread(lambda: User.objects.update(is_active=False))
        assert ended.value.text == "not_authenticated"
        page.wait_for_function("changes.readyState === EventSource.CLOSED", timeout=30_000)
        browser.close()


def in_thread(write: Callable[[], Any]) -> None:
    """Playwright has an event loop in this thread, where Django asks no database."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(write).result()
        thread.submit(connections.close_all).result()
