"""DEBUG: the toolbar is there for developers, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CODE = """
import importlib.util, sys
find = importlib.util.find_spec
if "--without-toolbar" in sys.argv:
    importlib.util.find_spec = lambda name, package=None: None if name == "debug_toolbar" else find(name, package)
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.test import Client
page = Client(HTTP_HOST="localhost").get("/api/v1/", HTTP_ACCEPT="text/html")
print(page.status_code, "djDebug" in page.content.decode())
"""


@pytest.mark.parametrize(
    ("debug", "argument", "seen"),
    [("true", "", "200 True"), ("false", "", "200 False"), ("true", "--without-toolbar", "200 False")],
)
def test_the_toolbar_is_shown_in_debug_only(debug: str, argument: str, seen: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'debug.sqlite3'}"
    environment = os.environ | {"DEBUG": debug, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": database}
    command = [sys.executable, "-c", CODE, *argument.split()]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == seen
