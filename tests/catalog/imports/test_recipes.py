"""Recipes of imports: kept by the server for their owner, or for all who import."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.imports import serializers
from catalog.models import ImportRecipe
from tests.factories import make_caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/imports/recipes/"


def keep(caller: APIClient, name: str = "Supplier A", **members: Any) -> Any:
    return caller.post(URL, {"name": name, **members}, format="json")


def list_names(caller: APIClient) -> list[str]:
    return [row["name"] for row in caller.get(URL).json()["results"]]


def test_a_recipe_keeps_the_options_that_are_not_the_defaults(caller: APIClient) -> None:
    answer = keep(caller, options={"map": "title=product", "decimal": ",", "update_only": False, "status": ""})
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert body["options"] == {"map": "title=product", "decimal": ","}
    assert (body["shared"], body["is_own"]) == (False, True)
    changed = caller.patch(body["url"], {"options": {"decimal": "."}, "shared": True}, format="json").json()
    assert (changed["name"], changed["options"], changed["shared"]) == ("Supplier A", {"decimal": "."}, True)
    assert caller.delete(body["url"]).status_code == 204
    assert list_names(caller) == []


def test_others_see_what_is_shared_and_cannot_change_it(caller: APIClient) -> None:
    keep(caller)
    shared = keep(caller, "For all", shared=True).json()
    other = make_caller("Catalogue editor")
    assert keep(other).status_code == 201  # a name is one's own
    assert list_names(other) == ["For all", "Supplier A"]
    assert other.get(shared["url"]).json()["is_own"] is False
    assert other.patch(shared["url"], {"shared": False}, format="json").status_code == 404
    assert other.delete(shared["url"]).status_code == 404
    assert list_names(caller) == ["Supplier A", "For all"]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"options": {"decimal": ";"}}, "/options/decimal"),
        ({"options": {"file": "a.csv"}}, "/options/file"),
        ({"options": {"decimals": ","}}, "/options/decimals"),
        ({"owner": 1}, "/owner"),
        ({"name": "x" * 61}, "/name"),
    ],
)
def test_what_is_no_option_is_an_error(caller: APIClient, members: dict[str, Any], pointer: str) -> None:
    answer = keep(caller, **{"name": "A", **members})
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_name_is_taken_once_and_recipes_have_a_limit(caller: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keep(caller, "A").json()
    assert (answer := keep(caller, "A")).status_code == 409
    assert "'A'" in answer.json()["detail"]
    monkeypatch.setattr(serializers, "MOST_RECIPES", 2)
    assert keep(caller, "B").status_code == 201
    assert caller.patch(first["url"], {"name": "B"}, format="json").status_code == 409
    assert (answer := keep(caller, "C")).json()["code"] == "too_many_recipes"
    assert ImportRecipe.objects.count() == 2
