"""Near names, for hints."""

import pytest

from config.api.problems import near
from config.api.problems.near import suggest


def test_a_name_without_half_of_the_letters_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    # Comparing takes ten times as long as counting letters, and a body may have twenty unknown names.
    compared = []
    likeness = near._likeness
    monkeypatch.setattr(near, "_likeness", lambda *pair: compared.append(pair) or likeness(*pair))
    assert suggest("m4711", ("email", "password")) == "Known here: email, password."
    assert compared == []
    assert suggest("emial", ("email", "password")) == "Did you mean email?"
    assert {name for _, name in compared} <= {"email"}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("limit", "page_size"), ("sort", "ordering"), ("ordering[]", "ordering"), ("q", "search"),
        ("modified_since", "updated_since"), ("changed_after", "updated_since"),
        ("price_gte", "price_min"), ("price__lte", "price_max"),
    ],
)  # fmt: skip
def test_names_of_other_apis_are_known(word: str, meant: str) -> None:
    known = (
        "page_size", "page", "ordering", "search", "created_after", "created_before", "updated_since",
        "updated_before", "price_min", "price_max", "rating_min",
    )  # fmt: skip
    assert suggest(word, known) == f"Did you mean {meant}?"
    assert "Did you mean" not in suggest("limit", ("email",))
