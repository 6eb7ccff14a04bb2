"""What was read may be sent back: a client that saves a whole record changes nothing by it. Over all routes."""

# ruff: noqa: F401, F811 (fixtures of another file)

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.test_mass_assignment import (
    fill_path,
    list_allowed,
    list_operations,
    root,
    shop,
    snap_rows,
    staff,
)

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]

READ = {path for path, _ in list_operations("get")}
KEPT = [(path, method) for path, method in list_operations("put", "patch") if path in READ]


@pytest.mark.parametrize(("path", "method"), KEPT)
def test_a_row_sent_back_as_it_was_read_stays_as_it_is(
    path: str, method: str, shop: dict[str, Any], staff: APIClient
) -> None:
    expand = ",".join(sorted(list_allowed(path, "get").get("expand", ())))
    for query in ("", f"?expand={expand}" if expand else ""):
        read = staff.get(url := fill_path(path, shop) + query).json()
        before = snap_rows()
        answer = getattr(staff, method)(url, read)
        assert (answer.status_code, answer.json()) == (200, read)
        assert snap_rows() == before


def test_there_are_such_routes() -> None:
    assert len(KEPT) >= 13
