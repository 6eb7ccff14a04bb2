"""A pytest plugin (`-p tests.quick`) for `make test-quick`: one case of each test, another one each time."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the last case of each test, after their order was shuffled. The processes of a run shuffle alike."""
    kept = {item.nodeid.partition("[")[0]: item for item in items}
    config.hook.pytest_deselected(items=[item for item in items if kept[item.nodeid.partition("[")[0]] is not item])
    items[:] = kept.values()
