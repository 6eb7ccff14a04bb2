"""The protocol's server, by its official package: lists the registered tools and runs them. Loaded by name.

Handlers run in an event loop, and tools in the thread that has called `answer` (bridge.py), with its connections.
"""

import logging
from contextvars import ContextVar
from typing import Any

import mcp_types as types
import orjson
from asgiref.sync import sync_to_async
from django.conf import settings
from jsonschema import Draft202012Validator
from mcp.server import Server
from mcp.shared.exceptions import MCPError

from config.api.problems.near import suggest
from config.api.tools.bounding import bound
from config.api.tools.registry import TOOLS, Arguments, Call, Json, Refused, Tool
from config.mcp.asking import Environ, ask_as

logger = logging.getLogger("tenfold.mcp")

# The environ of the request that brought the message: whose credentials the tools use.
CALLER: ContextVar[Environ] = ContextVar("caller")

INSTRUCTIONS = """\
A shop's product catalogue. Find products with search_products, narrow with product_facets, read one with get_product, \
and set several side by side with compare_products. Prices are decimal strings in the product's currency. An error has \
a hint that says what to do. left_out says which part of a result isn't shown."""

# The most wrong arguments that one answer names, and characters of each sentence.
MOST_FAULTS, LONGEST_SENTENCE = 5, 300


async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[describe(tool) for tool in TOOLS.values()])


def describe(tool: Tool) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=not tool.is_write, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    return types.Tool(
        name=tool.name, title=tool.title, description=tool.description, input_schema=tool.schema, annotations=hints
    )


async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    if (tool := TOOLS.get(params.name)) is None:
        raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name[:64]!r}. {suggest(params.name, TOOLS)}")
    return await sync_to_async(run_tool)(tool, params.arguments or {})


def run_tool(tool: Tool, arguments: Arguments) -> types.CallToolResult:
    """The tool's result as a text of JSON, or the problem with its hint."""
    caller = CALLER.get()

    def ask(call: Call) -> Json:
        return ask_as(caller, call)

    try:
        check(tool, arguments)
        return write(tool.run(ask, arguments), is_error=False)
    except Refused as refusal:
        return write(add_hint(tool, refusal.problem), is_error=True)
    except Exception:
        logger.exception("The tool %s fails", tool.name)
        return write({"status": 500, "detail": "Something failed on our side; the log has it."}, is_error=True)


def add_hint(tool: Tool, problem: Json) -> Json:
    """The problem with the tool's own hint, if it has one for the problem's code."""
    hint = tool.hints.get(problem["code"]) if "code" in problem else None
    return {**problem, "hint": hint} if hint else problem


def write(value: Json, *, is_error: bool) -> types.CallToolResult:
    text = orjson.dumps(bound(value)).decode()
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)


def check(tool: Tool, arguments: Arguments) -> None:
    """Raise Refused if the arguments aren't those of the tool's schema."""
    if unknown := sorted(arguments.keys() - tool.properties.keys()):
        names = ", ".join(name[:64] for name in unknown[:MOST_FAULTS])
        raise Refused(
            {
                "status": 422,
                "code": "invalid_arguments",
                "detail": f"{tool.name} has no argument {names}.",
                "hint": suggest(unknown[0], tool.properties),
            }
        )
    found = list(Draft202012Validator(tool.schema).iter_errors(dict(arguments)))[:MOST_FAULTS]
    if found:
        faults = [{"pointer": error.json_path, "detail": error.message[:LONGEST_SENTENCE]} for error in found]
        hint = f"The schema of {tool.name} says what each argument may be."
        detail = f"Arguments of {tool.name} are wrong."
        raise Refused({"status": 422, "code": "invalid_arguments", "detail": detail, "hint": hint, "errors": faults})


SERVER: Server[Any] = Server(
    "tenfold",
    title="Tenfold",
    version=settings.VERSION,
    instructions=INSTRUCTIONS,
    on_list_tools=list_tools,
    on_call_tool=call_tool,
)
