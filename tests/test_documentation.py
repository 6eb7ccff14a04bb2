"""README is true: what it names exists, what exists is named in it, and its examples are what is answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.exceptions import APIException
from rest_framework.test import APIClient

from catalog import views
from catalog.filters import ProductFilters
from config import env
from config.api.error_handler import CODES
from config.api.errors import ApiError
from config.api.pagination import KeysetPagination, PageNumberPagination
from config.api.selections import PARAMETERS, list_expandable
from config.metrics import Figures
from config.scrape import Families

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# Whose exceptions are answered.
PACKAGES = ("config", "catalog", "accounts", "exports", "rest_framework")
QUOTED = set(re.findall(r"`([^`\n]+)`", README))


def find_subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from find_subclasses(below)


def find_codes() -> set[str]:
    """Every code that a problem document may bear, of our own errors and of DRF's."""
    kinds = [kind for kind in find_subclasses(APIException) if kind.__module__.startswith(PACKAGES)]
    kinds = [kind for kind in kinds if kind is not ApiError and kind.__name__ != "Throttled"]  # throttling.py's own
    return {CODES.get(kind.default_code, kind.default_code) for kind in kinds}


@pytest.mark.parametrize("name", env.NAMES)
def test_each_setting_is_explained(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`.* \|$", README, re.MULTILINE)


def test_each_setting_that_is_explained_exists() -> None:
    section = README[README.index("### Settings") :]
    named = re.findall(r"^\| ((?:`[A-Z_]+` ?)+)\|", section, re.MULTILINE)
    assert {name for cell in named for name in re.findall(r"`([A-Z_]+)`", cell)} == set(env.NAMES)


def test_each_parameter_is_explained() -> None:
    parameters = {*PARAMETERS, *ProductFilters.base_filters, "ordering", "attr.NAME"}
    parameters |= {*KeysetPagination.parameters, *PageNumberPagination.parameters}
    assert parameters <= QUOTED
    assert set(list_expandable(views.ProductRead)) <= QUOTED
    assert {name.lstrip("-") for name in views.ProductViewSet.orderings} <= QUOTED


def test_each_error_code_is_explained() -> None:
    table = set(re.findall(r"^\| `([a-z_]+)` \| [45]\d\d \|", README, re.MULTILINE))
    assert table == find_codes()


def test_each_metric_is_explained() -> None:
    families = [family.name for family in Families(Figures()).collect()]
    named = {name.removesuffix("_total") for name in QUOTED if re.fullmatch("tenfold_[a-z_]+", name)}
    assert named == set(families)


def test_each_make_target_is_explained() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {f"make {target}" for target in targets} <= QUOTED


def read_examples() -> list[tuple[str, Any]]:
    blocks = re.findall(r"```http\nGET (\S+)\n\n(.*?)```", README, re.DOTALL)
    return [(path, json.loads(body)) for path, body in blocks]


def find_shape(value: Any) -> Any:
    """Names and kinds of a JSON value; lists by their first row."""
    if isinstance(value, dict):
        return {name: find_shape(below) for name, below in value.items() if name != "attributes"}
    if isinstance(value, list):
        return [find_shape(value[0])] if value else []
    return type(value).__name__ if value is not None else None


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "answer"), read_examples(), ids=[path for path, _ in read_examples()])
def test_each_example_is_what_is_answered(path: str, answer: Any, client: APIClient) -> None:
    call_command("seed", "--products", "300", "--json")
    found = client.get(path).json()
    optional = {"compare_at_price", "rating", "next", "hint"}
    for real, said in zip(found.get("results", [found]), answer.get("results", [answer]), strict=True):
        assert list(real) == list(said)
        for name in set(real) - optional:
            assert find_shape(real[name]) == find_shape(said[name]), name
    assert list(found) == list(answer)


def test_the_examples_are_there() -> None:
    assert len(read_examples()) >= 4
