"""Which package may import which: each only to its left in RULE, and no circles."""

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
# A module belongs to the longest name here that it begins with.
RULE = (
    "config.process",
    "config.metrics",
    "config.redaction",
    "config.logs",
    "config.telemetry",
    "config.api.rendering",
    "config.api.problems",
    "config.api.database",
    "config.api.access",
    "config.api.freshness",
    "config.api.models",
    "config.api.reads",
    "config.api.writes",
    "config.api.admin",
    "config.api.viewsets",
    "config.api.jobs",
    "config.api.webhooks",
    "config.api.push",
    "config.api.tools",
    "catalog",
    "catalog.facets",
    "catalog.views",
    "catalog.urls",
    "accounts",
    "exports.errors",
    "exports.models",
    "exports.formats",
    "exports.rows",
    "exports.streaming",
    "exports.jobs",
    "exports.feeds",
    "exports",
    "config.api.schema",
    "config.api.gates",
    "config.api",
    "config.operation",
    "config.serving",
    "config",
    "management",  # the commands of all apps
)
APPS = ("catalog", "accounts", "exports")

MODULES = sorted(path.relative_to(ROOT) for package in ("config", *APPS) for path in (ROOT / package).rglob("*.py"))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


# They sign cursors, by the name that a module once had.
SALTS = {"config.api.pagination"}
# A module, a class or a function, by its path; a permission has one dot.
DOTTED = re.compile(r"(config|catalog|accounts|exports)(\.\w+){2,}")


def is_path(value: object) -> bool:
    return isinstance(value, str) and bool(DOTTED.fullmatch(value)) and value not in SALTS


def read_imports(path: Path) -> Iterator[str]:
    """The modules that `path` names, in imports or in strings: whoever takes such a string imports its module."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Constant) and is_path(node.value):
            yield str(node.value)


def find_level(module: str) -> int | None:
    """The place in RULE; None for a module that isn't ours."""
    parts = module.split(".")
    if parts[0] not in ("config", *APPS):
        return None
    if "management" in parts:
        return RULE.index("management")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(RULE.index(name) for name in names if name in RULE)


def find_wrong() -> Iterator[str]:
    for path in MODULES:
        own = find_level(".".join(path.with_suffix("").parts))
        assert own is not None
        for module in read_imports(path):
            if (other := find_level(module)) is not None and other > own:
                yield f"{path} imports {module}"


def test_a_package_imports_only_what_stands_to_its_left() -> None:
    assert not list(find_wrong())


def test_the_guide_shows_the_rule() -> None:
    _, _, section = (ROOT / "config/api/README.md").read_text().partition("\n### The import rule\n")
    assert tuple(re.findall(r"[\w.]+", section.split("```")[1].removeprefix("text"))) == RULE


def test_only_the_settings_and_the_routes_name_an_app() -> None:
    named = [
        f"{path} imports {module}"
        for path in MODULES
        if path.parts[0] == "config" and path.name not in ("settings.py", "urls.py") and "management" not in path.parts
        for module in read_imports(path)
        if module.split(".")[0] in APPS
    ]
    assert not named


def test_no_import_hides_in_a_function() -> None:
    hidden = [
        f"{path}: {ast.unparse(node)}"
        for path in MODULES
        # What an app registers in its ready() needs loaded models; the launcher must not load the apps.
        if path.name != "apps.py" and path != Path("config/server.py")
        for function in ast.walk(parse(path))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden


def test_the_folder_of_the_api_has_four_files() -> None:
    assert len(list((ROOT / "config/api").glob("*.py"))) <= 4


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
