"""Who may import whom: exports -> accounts -> catalog -> config.api, each only to its right, and no circles."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("exports", "accounts", "catalog", "config.api")
# What every package may use beside config.api: the request id and the line of the log, what is counted, of what a
# process has how much, and whether requests are at work.
SHARED = {
    "config.process.activity",
    "config.process.affinity",
    "config.process.capacity",
    "config.logs",
    "config.metrics",
}

MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("config/api", "catalog", "accounts", "exports")
    for path in (ROOT / package).rglob("*.py")
)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def read_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def find_package(module: str) -> str | None:
    return next((package for package in PACKAGES if f"{module}.".startswith(f"{package}.")), None)


def may_import(path: Path, module: str) -> bool:
    own, other = find_package(".".join(path.with_suffix("").parts)), find_package(module)
    assert own is not None
    if other is not None:
        return PACKAGES.index(other) >= PACKAGES.index(own)
    return not module.startswith("config") or module in SHARED


def test_a_package_imports_only_what_stands_below_it() -> None:
    wrong = [(str(path), module) for path in MODULES for module in read_imports(path) if not may_import(path, module)]
    assert not wrong


def test_no_import_hides_in_a_function() -> None:
    hidden = [
        f"{path}: {ast.unparse(node)}"
        for path in MODULES
        if path.name != "apps.py"  # what an app registers in its ready() needs loaded models
        for function in ast.walk(parse(path))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden


# A class or a function of an app, by its path; a permission has one dot.
PATH = re.compile(r"(exports|accounts|catalog)(\.\w+){2,}")


def test_only_the_settings_name_an_app_by_a_path() -> None:
    # Whoever takes such a path imports the app, though no import says so.
    found = [
        f"{path.relative_to(ROOT)}: {node.value}"
        for path in (ROOT / "config").rglob("*.py")
        if path.name not in ("settings.py", "urls.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PATH.fullmatch(node.value)
    ]
    assert not found


def test_each_module_says_what_it_is() -> None:
    silent = [
        str(path)
        for path in MODULES
        if path.name not in ("__init__.py", "apps.py", "urls.py")
        and "migrations" not in path.parts
        and not ast.get_docstring(ast.parse((ROOT / path).read_text()))
    ]
    assert not silent


@pytest.mark.slow
def test_views_that_drf_names_in_its_settings_load_first() -> None:
    # DRF resolves the names in REST_FRAMEWORK while rest_framework.views is half loaded.
    code = "import django; django.setup(); import rest_framework.views, rest_framework.viewsets"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, env=environment, check=True)


def test_the_top_level_is_the_owners() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in listed.splitlines() if "/" in line and not line.startswith(".")}
    assert folders == {"config", "catalog", "accounts", "exports", "tests"}


@pytest.mark.slow
def test_no_migration_is_missing() -> None:
    command = [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
