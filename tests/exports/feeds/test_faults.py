"""Workers that die while they make a feed: whoever fetches it has a whole file, and a new one comes in the end."""

import gzip
import hashlib
import os
import random
import signal
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.exports.plant import Plant, build_plant
from tests.services import missing_binaries

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(missing_binaries()), reason=f"missing {', '.join(missing_binaries())}"),
]

PRODUCTS = 1000
# The judged number is FEED_KILLS=20.
KILLS = int(os.environ.get("FEED_KILLS", "5"))
MAKE_DUE = "UPDATE exports_feed SET due_at = now() - interval '1 second' WHERE next_job_id IS NULL RETURNING id"
RENAME = "UPDATE catalog_product SET title = 'Title {1}' WHERE id = {0} RETURNING id"
ACTIVE = "SELECT p.id, v.sku FROM catalog_variant v JOIN catalog_product p ON p.id = product_id WHERE status = 'active'"
G = "{http://base.google.com/ns/1.0}"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRODUCT_URL_TEMPLATE", "https://shop.example/p/{slug}")
        with build_plant(tmp_path_factory.mktemp("plant"), redis=True, products=PRODUCTS) as plant:
            yield plant


def fetch(url: str) -> dict[str, str]:
    """The titles of a whole file, by the items' ids."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        packed, etag = answer.read(), answer.headers["ETag"]
    assert etag == f'"{hashlib.sha256(packed).hexdigest()}"'
    items = list(ET.fromstring(gzip.decompress(packed)).iter("item"))
    titles = {str(item.findtext(f"{G}id")): str(item.findtext(f"{G}title")) for item in items}
    assert len(titles) == len(items), "an item twice"
    return titles


def wait_until(is_so: Callable[[], Any], plant: Plant, log: str) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, plant.read_log(log)[-3000:]
        time.sleep(0.1)  # another process's work


def test_each_file_is_whole_whenever_workers_die(plant: Plant) -> None:
    body = {"resource": "products", "format": "google", "compression": "gzip", "every": 5}
    feed = plant.ask("feeds/", body)
    plant.start_worker("first")
    wait_until(lambda: plant.ask(f"feeds/{feed['id']}/")["made_at"], plant, "first")
    plant.end()
    plant.start_server()
    items = plant.query(ACTIVE)
    wanted, (key, sku) = {sku for _, sku in items}, items[0]
    made = set[str]()
    for number in range(KILLS):
        plant.query(RENAME.format(key, number))
        plant.query(MAKE_DUE)
        worker = plant.start_worker(f"worker-{number}")
        wait_until(lambda: plant.query("SELECT 1 FROM exports_feed WHERE next_job_id IS NOT NULL"), plant, "server")
        end = time.monotonic() + random.uniform(0, 3)
        while time.monotonic() < end:
            titles = fetch(feed["file_url"])
            assert titles.keys() == wanted
            made.add(titles[sku])
        plant.signal(worker, signal.SIGKILL)
        assert fetch(feed["file_url"]).keys() == wanted
    plant.query(RENAME.format(key, "at the end"))
    plant.start_worker("last")

    def is_made() -> bool:
        plant.query(MAKE_DUE)
        return "at the end" in fetch(feed["file_url"])[sku]

    wait_until(is_made, plant, "last")
    assert fetch(feed["file_url"]).keys() == wanted
    print(f"{KILLS} kills; the files had {sorted(made)}")
