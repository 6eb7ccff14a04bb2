"""Receivers that are away and workers that die: nothing is lost, and no row's messages come out of order."""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from statistics import median
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import psycopg
import pytest

from tests.config.api.webhooks.conftest import Receiver
from tests.exports.plant import Plant, build_plant
from tests.services import find_binary, missing_binaries

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(missing_binaries()), reason=f"missing {', '.join(missing_binaries())}"),
]

CHANGES = int(os.environ.get("WEBHOOK_CHANGES", "5000"))
# A fiftieth of the changes, so that a statement of many rows writes more of them where more are wanted: with 200
# products the writers alone took a quarter of an hour for 100,000 changes.
PRODUCTS = max(200, CHANGES // 50)
MOST_ROWS = PRODUCTS // 10
KILLS = int(os.environ.get("WEBHOOK_KILLS", "10"))
# The judged size is WEBHOOK_CHANGES=100000 WEBHOOK_KILLS=20.
PATIENCE = 180 + CHANGES // 50
ENTITIES = ("product", "brand")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
        with build_plant(tmp_path_factory.mktemp("plant"), redis=True, products=PRODUCTS) as plant:
            yield plant


def add_webhook(plant: Plant, receiver: Receiver) -> tuple[int, str]:
    made = plant.ask("webhooks/", {"url": receiver.url, "events": ["product.*", "brand.*"]})
    return made["id"], made["secret"]


ONE = "UPDATE catalog_product SET rating = random() WHERE id = %s"
MANY = "UPDATE catalog_product SET title = 'T ' || random() WHERE id %% 10 = %s"
BRANDS = "COPY catalog_brand (name, slug, version, created_at, updated_at) FROM STDIN"


class Admin:
    """Somebody signed in to the admin, who sends its forms."""

    def __init__(self, plant: Plant) -> None:
        self.url = f"http://127.0.0.1:{plant.port}"
        self.opener = build_opener(HTTPCookieProcessor())
        self.submit("/admin/login/", username="partner@example.com", password="secret")

    def submit(self, path: str, **values: str) -> None:
        """Send the form of a page as it is, but for these values."""
        page = self.opener.open(f"{self.url}{path}", timeout=60).read().decode()
        tags = [dict(re.findall(r'([a-z]+)="([^"]*)"', tag)) for tag in re.findall(r"<input [^>]*>", page)]
        form = {tag["name"]: unescape(tag.get("value", "")) for tag in tags if "name" in tag}
        sent = urlencode(form | values).encode()
        request = Request(f"{self.url}{path}", sent, {"Referer": f"{self.url}{path}"})
        answer = self.opener.open(request, timeout=60)
        assert "errornote" not in answer.read().decode()


def write_by_every_way(plant: Plant, least: int, nuisance: threading.Thread) -> None:
    """By SQL, COPY, psql, the API and the admin: `least` changes, and until `nuisance` has ended."""
    written, admin = 0, Admin(plant)
    brands = [pk for (pk,) in plant.query("SELECT id FROM catalog_brand ORDER BY id LIMIT 20")]
    with psycopg.connect(plant.postgres.url, autocommit=True) as connection:
        while written < least or nuisance.is_alive():
            way = random.randrange(5)
            if way == 0:
                written += connection.execute(ONE, [random.randint(1, PRODUCTS)]).rowcount
            elif way == 1:
                written += connection.execute(MANY, [random.randrange(10)]).rowcount
            elif way == 2:
                written += copy_brands(connection)
            elif way == 3:
                written += write_by_api(plant)
            elif random.random() < 0.5:
                written += write_by_psql(plant)
            else:
                admin.submit(f"/admin/catalog/brand/{random.choice(brands)}/change/", name=f"B {random.random()}")
                written += 1
            time.sleep(0.01)  # a shop's writers rest, too


def copy_brands(connection: psycopg.Connection) -> int:
    now = datetime.now(tz=UTC)
    with connection.cursor().copy(BRANDS) as copy:
        for _ in range(MOST_ROWS // 5):
            copy.write_row(("Brand", f"b-{random.getrandbits(60)}", 1, now, now))
    return MOST_ROWS // 5


def write_by_psql(plant: Plant) -> int:
    statement = f"UPDATE catalog_product SET title = 'P ' || random() WHERE id = {random.randint(1, PRODUCTS)}"
    command = [str(find_binary("psql")), "-qc", statement, plant.postgres.url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1


def write_by_api(plant: Plant) -> int:
    skus = [f"TF-{number:08}" for number in random.sample(range(1, PRODUCTS), MOST_ROWS // 4)]
    items = [{"sku": sku, "title": f"T {random.random()}"} for sku in skus]
    plant.ask("products/bulk/", {"mode": "update", "on_error": "skip", "items": items})
    return len(items)


def annoy(plant: Plant, receiver: Receiver) -> None:
    """Kills each worker three seconds after it began to send, and takes the receiver away for 30 % of the time."""
    for number in range(KILLS):
        worker, tries = plant.start_worker(f"worker-{number}"), receiver.tries
        moods = 0
        while moods < 6:
            receiver.mood = random.choices(("well", "500", "hang", "cut"), (70, 10, 10, 10))[0]
            time.sleep(0.5)  # for how long it is so
            moods += receiver.tries > tries
        plant.signal(worker, signal.SIGKILL)
    receiver.mood = "well"


def wait_until_told(plant: Plant, key: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        row = plant.ask(f"webhooks/{key}/")
        [[newest]] = plant.query("SELECT max(position) FROM catalog_change")
        [[waiting]] = plant.query("SELECT count(*) FROM catalog_change_inbox")
        if row["position"] == newest and not waiting:
            return
        time.sleep(0.2)  # workers deliver
    raise AssertionError(f"{row}, the newest position is {newest}\n{plant.read_log('last')[-3000:]}")


def test_nothing_is_lost_and_nothing_is_out_of_order(plant: Plant, receiver: Receiver) -> None:
    key, secret = add_webhook(plant, receiver)
    [[before]] = plant.query("SELECT coalesce(max(position), 0) FROM catalog_change")
    nuisance = threading.Thread(target=annoy, args=(plant, receiver))
    nuisance.start()
    write_by_every_way(plant, CHANGES, nuisance)
    plant.start_worker("last")
    wait_until_told(plant, key)
    told, versions = defaultdict[tuple[str, int], list[int]](list), {}
    for message in receiver.read(secret):
        row = (message["type"].partition(".")[0], message["data"]["id"])
        told[row].append(message["data"]["position"])
        versions[row] = message["data"]["version"]
    print(f"{receiver.tries} attempts, {len(receiver.received)} messages of {len(told)} rows")
    changed = plant.query("SELECT DISTINCT entity, entity_id, position FROM catalog_change ORDER BY position")
    wanted = {(entity, pk) for entity, pk, position in changed if entity in ENTITIES and position > before}
    assert wanted <= set(told)
    assert [row for row, positions in told.items() if positions != sorted(positions)] == []
    for entity in ENTITIES:
        for pk, version in plant.query(f"SELECT id, version FROM catalog_{entity}"):
            assert versions.get((entity, pk), version) == version


def test_an_event_arrives_within_a_second_when_all_is_well(plant: Plant, receiver: Receiver) -> None:
    key, _ = add_webhook(plant, receiver)
    plant.start_worker("last")
    wait_until_told(plant, key)
    waits = []
    for number in range(20):
        count, began = len(receiver.received), time.monotonic()
        plant.query(f"UPDATE catalog_product SET title = 'New {number}' WHERE id = 1 RETURNING id")
        while len(receiver.received) == count:
            assert time.monotonic() < began + 30, plant.read_log("last")
            time.sleep(0.01)
        waits.append(time.monotonic() - began)
    assert median(waits) < 1.0, json.dumps(waits)
