"""An agent that finds and orders by the protocol's own client. Its packages take 2 s to load, for this test alone."""

import json
import sys
from typing import Any

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.launching import ROOT


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
