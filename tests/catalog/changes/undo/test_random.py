"""Any history of several writers: after an undo the rows are what they were, but for what others changed since."""

from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from catalog.models import Brand, Location, Product, Variant
from tests.catalog.changes.undo.shop import Rows, read_shop, undo
from tests.factories import make_brand, make_product

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

type Key = tuple[str, int]
type Act = Callable[[APIClient, Random, dict[str, str]], Any]


def change_texts(caller: APIClient, choice: Random, headers: dict[str, str]) -> Any:
    body = {"title": f"T{choice.random()}", "description": choice.choice("ab"), "status": choice.choice(STATUSES)}
    names = choice.sample(sorted(body), 2)
    return caller.patch(find_address(choice), {name: body[name] for name in names}, headers=headers)


def change_prices(caller: APIClient, choice: Random, headers: dict[str, str]) -> Any:
    rows = [{"sku": sku, "price": f"{choice.randint(1, 9)}.00"} for sku in pick_skus(choice)]
    return caller.patch("/api/v1/prices/bulk/", rows, format="json", headers=headers)


def change_stock(caller: APIClient, choice: Random, headers: dict[str, str]) -> Any:
    places = choice.choice(("main", "north"))
    rows = [{"sku": sku, "location": places, "on_hand": choice.randint(0, 9)} for sku in pick_skus(choice)]
    return caller.patch("/api/v1/stock/bulk/", rows, format="json", headers=headers)


def replace_parts(caller: APIClient, choice: Random, headers: dict[str, str]) -> Any:
    """Some variants and images go, others come."""
    address = find_address(choice)
    row = caller.get(f"{address}?expand=variants,images").json()
    kept = [{"sku": each["sku"], "price": each["price"]} for each in row["variants"][: choice.randint(0, 1)]]
    variants = [*kept, {"sku": f"V{choice.random()}", "price": "3.00", "on_hand": 2}]
    images = [{"url": f"https://a.example/{number}.png"} for number in choice.sample(range(4), 2)]
    brand = choice.choice([*Brand.objects.values_list("slug", flat=True), None])
    body = {"sku": row["sku"], "title": row["title"], "variants": variants, "images": images, "brand": brand}
    return caller.put(address, body, format="json", headers=headers)


def add(caller: APIClient, choice: Random, headers: dict[str, str]) -> Any:
    number = choice.random()
    return caller.post("/api/v1/products/", {"sku": f"N{number}", "title": "New", "price": "2.00"}, headers=headers)


def delete(caller: APIClient, choice: Random, headers: dict[str, str]) -> Any:
    return caller.delete(find_address(choice), headers=headers)


STATUSES = ("active", "draft", "archived")
ACTS: tuple[Act, ...] = (change_texts, change_prices, change_stock, replace_parts, add, delete)


def find_address(choice: Random) -> str:
    return f"/api/v1/products/{choice.choice(sorted(Product.objects.values_list('pk', flat=True)))}/"


def pick_skus(choice: Random) -> list[str]:
    skus = sorted(Variant.objects.values_list("sku", flat=True))
    return choice.sample(skus, min(len(skus), 2))


def find_columns(before: Rows, after: Rows, key: Key) -> set[str]:
    """The columns of a row that differ; `*` if it came or went."""
    old, new = before.get(key), after.get(key)
    if old is None or new is None:
        return {"*"} if old is not new else set()
    return {name for name in old if old[name] != new[name]}


# Without shrinking: a failure names its acts and its seed, and shrinking takes minutes.
@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    acts=st.lists(st.tuples(st.sampled_from(ACTS), st.booleans()), min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
)
def test_after_an_undo_all_is_as_it_was_but_for_what_others_changed(
    acts: list[tuple[Act, bool]], seed: int, staff: APIClient
) -> None:
    with transaction.atomic():
        check_history(acts, Random(seed), staff)
        transaction.set_rollback(True)


def check_history(acts: list[tuple[Act, bool]], choice: Random, staff: APIClient) -> None:
    Location.objects.create(code="north")
    for _ in range(2):
        make_product(brand=make_brand(), variants=2, images=2, stock=4)
    make_product()
    # Of each row that the request changed: the row before, and what others changed since.
    was: dict[Key, dict[str, Any] | None] = {}
    others: dict[Key, set[str]] = defaultdict(set)
    for act, is_mine in [*acts, (change_prices, True)]:
        before = read_shop()
        if not any(name == "Product" for name, _ in before):
            break
        answer = act(staff, choice, {"X-Request-ID": "mine" if is_mine else "other"})
        assert answer.status_code < 400, answer.json()
        note(before, read_shop(), was, others, is_mine=is_mine)
    if was:
        check_undo(was, others, staff)


def note(before: Rows, after: Rows, was: dict[Key, Any], others: dict[Key, set[str]], *, is_mine: bool) -> None:
    """What a request has changed: one to undo, or somebody else's."""
    for key in before.keys() | after.keys():
        columns = find_columns(before, after, key)
        if columns and is_mine and key not in was:
            was[key], others[key] = before.get(key), set()
        elif columns and not is_mine and was:
            others[key] |= columns


def check_undo(was: dict[Key, dict[str, Any] | None], others: dict[Key, set[str]], staff: APIClient) -> None:
    before = read_shop()
    job = undo(staff, request_id="mine")
    after = read_shop()
    skipped = {(NAMES[conflict["entity"]], conflict["entity_id"]) for conflict in job["conflicts"]}
    assert skipped <= was.keys()
    for key in before.keys() | after.keys():
        if key in skipped or key not in was:
            assert after.get(key) == before.get(key), (key, "only what was changed and isn't listed is written")
            continue
        kept, now = others.get(key, set()), after.get(key)
        if "*" not in kept:
            assert (now is None) == (was[key] is None), (key, "what came goes, and what went comes back")
        for name, value in (now or {}).items():
            expected = before.get(key, {}).get(name) if name in kept else (was[key] or {}).get(name)
            assert value == expected, (key, name)
    if not any(others.values()):
        assert job["conflicts"] == []
    again = undo(staff, request_id=f"undo/{job['id']}") if job["steps"] else None
    assert again is None or (again["conflicts"] == [] and read_shop() == before)


NAMES = {
    "brand": "Brand", "category": "Category", "attribute": "Attribute", "product": "Product", "text": "ProductText",
    "variant": "Variant", "stock": "Stock", "image": "Image",
}  # fmt: skip
