"""A filled shop for the servers of this folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shop import Shop


@pytest.fixture(scope="session")
def opened(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """With 300 products and a user's token, to be copied. The process that fills it takes 2 s of CPU."""
    shop = Shop(f"sqlite:///{shutil.copy(migrated, tmp_path_factory.mktemp('opened'))}")
    shop.open(300)
    return shop


def copy_shop(shop: Shop, folder: Path) -> Shop:
    return replace(shop, database=f"sqlite:///{shutil.copy(shop.database.removeprefix('sqlite:///'), folder)}")
