"""The protocol's own client uses the tools of a served shop, over HTTP and over standard input and output."""

import asyncio
import os
from importlib import import_module

import pytest

from accounts.models import Order, User
from accounts.tokens import sign_in
from tests.config.mcp.test_tools import NAMES
from tests.factories import make_product
from tests.launching import build_environment, find_database_url, launch_server


@pytest.mark.slow
@pytest.mark.once  # how it is carried; what the tools do is tested on both databases, without a process
@pytest.mark.django_db(transaction=True)
def test_an_agent_finds_and_orders_over_both_transports() -> None:
    shopping = import_module("tests.config.mcp.shopping")
    product = make_product(title="Desk Lamp", stock=5)
    secret = sign_in(User.objects.create_user("ann@example.com", "password"), "agent")[1]
    variables = {"DATABASE_URL": find_database_url(), "CACHE_LEASE_MS": "0"}
    with launch_server(**variables, MCP="true") as (url, _):
        seen = [asyncio.run(shopping.over_http(url, secret, product.sku))]
    environment = build_environment(**variables, MCP_TOKEN=secret, PATH=os.environ["PATH"])
    seen.append(asyncio.run(shopping.over_pipes(environment, product.sku)))
    for each in seen:
        assert each["names"] == NAMES
        assert [row["id"] for row in each["found"]] == [product.pk]
        assert each["wrong"]
    assert {order.number for order in Order.objects.all()} == {each["order"]["number"] for each in seen}
