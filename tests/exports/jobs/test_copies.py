"""An export and the change feed from its cursor are a copy of the table, whatever is written in between."""

import json
import os
import random
from typing import Any

import pytest
from django.db.models import F
from rest_framework.test import APIClient

from catalog.models import Product, Variant
from exports.jobs import planning
from exports.models import ExportJob
from exports.tasks import advance_export
from tests.exports.conftest import download
from tests.factories import make_product

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = "id,sku,title,price"


def write_at_random(chance: random.Random) -> None:
    key = chance.choice(list(Product.objects.values_list("pk", flat=True)))
    match chance.randrange(4):
        case 0:
            make_product()
        case 1:
            Product.objects.filter(pk=key).update(title=f"Changed {chance.random()}")
        case 2:
            Variant.objects.filter(product_id=key).update(price=F("price") + 1)
        case 3:
            Product.objects.filter(pk=key).delete()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("COPIES", "3"))))
def test_a_file_and_the_feed_from_its_cursor_are_the_table(
    seed: int, caller: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(planning, "PART_ROWS", 4)
    for _ in range(20):
        make_product()
    body = {"resource": "products", "format": "ndjson", "fields": FIELDS}
    job_id = caller.post("/api/v1/exports/", body).json()["id"]
    while ExportJob.objects.get(pk=job_id).is_unfinished:
        for _ in range(chance.randrange(4)):
            write_at_random(chance)
        advance_export.call(job_id)
    rows = [json.loads(line) for line in download(caller, ExportJob.objects.get(pk=job_id)).splitlines()]
    copy = {row["id"]: row for row in rows}
    assert len(copy) == len(rows)
    for _ in range(5):
        write_at_random(chance)
    follow(caller, copy, caller.get(f"/api/v1/exports/{job_id}/manifest/").json()["changes_cursor"])
    page = caller.get("/api/v1/products/", {"page_size": 200, "fields": FIELDS}).json()
    assert copy == {row["id"]: row for row in page["results"]}


def follow(caller: APIClient, copy: dict[int, Any], cursor: str) -> None:
    page = {"next": f"/api/v1/changes/?after={cursor}&entity=product"}
    while page["next"]:
        page = caller.get(page["next"]).json()
        for change in page["results"]:
            answer = caller.get(f"/api/v1/products/{change['entity_id']}/", {"fields": FIELDS})
            copy.pop(change["entity_id"], None)
            if answer.status_code == 200:
                copy[change["entity_id"]] = answer.json()
