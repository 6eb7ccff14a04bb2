"""The tools that agents may use. An app registers its own in `ready()`:

    register_tool(Tool(name="count_brands", …, run=lambda ask, given: {"count": ask(Call("brands/"))["count"]}))

A tool only asks the API, as its caller. So rights, scopes, rates, idempotency and errors are the API's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

type Json = Any
# A tool's arguments. They were checked against its schema.
type Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """A request to the API. `path` lies below /api/v1/, such as `products/7/`."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: Json = None
    idempotency_key: str | None = None


class Refused(Exception):
    """The API's answer was an error, or a tool can't do what it was asked. `problem` has status, detail and hint."""

    def __init__(self, problem: Mapping[str, Json]) -> None:
        super().__init__(problem.get("detail"))
        self.problem = problem


# Sends a call as the tool's caller, and returns the answer's JSON. Raises Refused.
type Ask = Callable[[Call], Json]


@dataclass(frozen=True)
class Tool:
    """`description` is for a model: when to use the tool, and what comes back. `properties` are JSON Schemas.

    `hints` say what a model can do about an error of the API, by its code: the API's own may have none, or name
    addresses that no tool asks.
    """

    name: str
    title: str
    description: str
    properties: Mapping[str, Json]
    run: Callable[[Ask, Arguments], Json]
    required: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    is_write: bool = False

    @property
    def schema(self) -> dict[str, Json]:
        """The JSON Schema of all arguments."""
        required = {"required": list(self.required)} if self.required else {}
        return {"type": "object", "properties": dict(self.properties), **required, "additionalProperties": False}


TOOLS: dict[str, Tool] = {}


def register_tool(tool: Tool) -> None:
    TOOLS[tool.name] = tool
