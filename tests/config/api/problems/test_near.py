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
