"""The protocol's own client uses the tools of a served shop, over HTTP and over standard input and output."""

import asyncio
import json
import os
import sys
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from accounts.models import Order, User
from accounts.tokens import sign_in
from tests.config.mcp.test_tools import NAMES
from tests.factories import make_product
from tests.launching import ROOT, build_environment, find_database_url, launch_server


async def shop_with(client: Any, sku: str, key: str) -> dict[str, Any]:
    """What the client finds and orders."""
    names = [tool.name for tool in (await client.list_tools()).tools]
    found = await client.call_tool("search_products", {"query": "lamp"})
    order = await client.call_tool("place_order", {"lines": [{"sku": sku, "quantity": 1}], "order_key": key})
    wrong = await client.call_tool("search_products", {"colour": "red"})
    read = [json.loads(result.content[0].text) for result in (found, order)]
    return {"names": names, "found": read[0]["products"], "order": read[1], "wrong": wrong.is_error}


async def over_http(url: str, token: str, sku: str) -> dict[str, Any]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as caller,
        Client(streamable_http_client(f"{url}/mcp", http_client=caller)) as client,
    ):
        return await shop_with(client, sku, "agent:over-http")


async def over_pipes(environment: dict[str, str], sku: str) -> dict[str, Any]:
    server = StdioServerParameters(command=sys.executable, args=["-m", "config.mcp"], env=environment, cwd=ROOT)
    async with Client(server) as client:
        return await shop_with(client, sku, "agent:over-pipes")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_agent_finds_and_orders_over_both_transports() -> None:
    product = make_product(title="Desk Lamp", stock=5)
    secret = sign_in(User.objects.create_user("ann@example.com", "password"), "agent")[1]
    variables = {"DATABASE_URL": find_database_url(), "CACHE_LEASE_MS": "0"}
    with launch_server(**variables, MCP="true") as (url, _):
        seen = [asyncio.run(over_http(url, secret, product.sku))]
    environment = build_environment(**variables, MCP_TOKEN=secret, PATH=os.environ["PATH"])
    seen.append(asyncio.run(over_pipes(environment, product.sku)))
    for each in seen:
        assert each["names"] == NAMES
        assert [row["id"] for row in each["found"]] == [product.pk]
        assert each["wrong"]
    assert {order.number for order in Order.objects.all()} == {each["order"]["number"] for each in seen}
