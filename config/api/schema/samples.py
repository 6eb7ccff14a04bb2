"""An operation in, programs that call it out: in curl, Python and TypeScript, as readers of `x-codeSamples` show them.

Path, query and body are those of the operation's first example, whose answer a test compares. Each sample runs as it
is, with the server's address in TENFOLD and a token in TOKEN.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from config.api.schema.components import find_example

type Schema = Mapping[str, Any]

# What a body or a variable is where no example has it.
ANY_TEXT, ANY_NUMBER = "…", 1
# The media types of a sample's body, the best first. Of an upload it is a file.
SENT = ("text/csv", "application/json")
FILE = "products.csv"


@dataclass(frozen=True)
class Call:
    """A request: `target` is path and query, `kind` the media type of `body`.

    `reads` is json, text, lines (of an answer without an end), or "" (no body).
    """

    method: str
    target: str
    is_private: bool
    kind: str
    body: Any
    reads: str


def add_samples(document: dict[str, Any]) -> None:
    """Give each operation of the document its samples."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            call = make_call(method, path, operation, document["components"]["schemas"])
            operation["x-codeSamples"] = write_samples(call)


def make_call(method: str, path: str, operation: Schema, schemas: Mapping[str, Schema]) -> Call:
    """The request of the samples: that of the operation's first example, if it has one."""
    example = find_example(operation["operationId"])
    variables = {each["name"]: each["example"] for each in operation.get("parameters", ()) if each["in"] == "path"}
    target = example.get("request", "").partition(" ")[2] or path.format(**variables)
    contents = operation.get("requestBody", {}).get("content", {})
    kind = next((kind for kind in SENT if kind in contents), "")
    body = example.get("body")
    if body is None and kind == "application/json":
        body = make_up(contents[kind]["schema"], schemas)
    return Call(method, target, {} not in operation.get("security", [{}]), kind, body, find_reading(operation))


def find_reading(operation: Schema) -> str:
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    kinds = [kind for answer in answers for kind in answer.get("content", ())]
    if "text/event-stream" in kinds:
        return "lines"
    return ("json" if kinds[0].endswith("json") and "ndjson" not in kinds[0] else "text") if kinds else ""


def write_samples(call: Call) -> list[dict[str, str]]:
    """The value of `x-codeSamples`."""
    languages = (
        ("Shell", "curl", write_curl),
        ("Python", "Python", write_python),
        ("TypeScript", "fetch", write_fetch),
    )
    return [{"lang": lang, "label": label, "source": "\n".join(write(call))} for lang, label, write in languages]


def write_curl(call: Call) -> Iterator[str]:
    method = "" if call.method == "get" else f" -X {call.method.upper()}"
    if call.reads == "lines":
        method = " -N"
    parts = [f'curl{method} "$TENFOLD{call.target}"']
    if call.is_private:
        parts.append('  -H "Authorization: Bearer $TOKEN"')
    if call.kind:
        parts.append(f'  -H "Content-Type: {call.kind}"')
        parts.append(f"  --data-binary @{FILE}" if call.body is None else f"  -d {quote(write_json(call.body))}")
    yield " \\\n".join(parts)


def write_python(call: Call) -> Iterator[str]:
    yield from ("import os", "", "import requests", "", f"answer = requests.{call.method}(")
    yield f'    os.environ["TENFOLD"] + {json.dumps(call.target, ensure_ascii=False)},'
    headers = ['"Authorization": "Bearer " + os.environ["TOKEN"]'] if call.is_private else []
    if call.kind and call.body is None:
        headers.append(f'"Content-Type": "{call.kind}"')
    if headers:
        yield f"    headers={{{', '.join(headers)}}},"
    if call.kind:
        yield f'    data=open("{FILE}", "rb"),' if call.body is None else f"    json={call.body!r},"
    if call.reads == "lines":
        yield "    stream=True,"
    yield from ("    timeout=30,", ")", "answer.raise_for_status()")
    if call.reads == "lines":
        yield from ("for line in answer.iter_lines(decode_unicode=True):", "    print(line)")
        return
    yield f"print(answer.{'json()' if call.reads == 'json' else call.reads or 'status_code'})"


def write_fetch(call: Call) -> Iterator[str]:
    before = 'import { readFile } from "node:fs/promises";\n\n' if call.kind and call.body is None else ""
    yield f"{before}const answer = await fetch(`${{process.env.TENFOLD}}{call.target}`, {{"
    yield f'  method: "{call.method.upper()}",'
    headers = ["Authorization: `Bearer ${process.env.TOKEN}`"] if call.is_private else []
    headers += [f'"Content-Type": "{call.kind}"'] if call.kind else []
    if headers:
        yield f"  headers: {{ {', '.join(headers)} }},"
    if call.kind:
        body = f'await readFile("{FILE}")' if call.body is None else f"JSON.stringify({write_json(call.body)})"
        yield f"  body: {body},"
    yield from ("});", "if (!answer.ok) throw new Error(await answer.text());")
    if call.reads == "lines":
        yield "const text = answer.body!.pipeThrough(new TextDecoderStream()).getReader();"
        yield "for (let read = await text.read(); !read.done; read = await text.read()) console.log(read.value);"
        return
    yield f"console.log({f'await answer.{call.reads}()' if call.reads else 'answer.status'});"


def write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def make_up(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """A value of `schema` with the members that it needs, such as `{"email": "…"}`."""
    schema = resolve(schema, components)
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {})
            return {name: make_up(members[name], components) for name in schema.get("required", ()) if name in members}
        case "array":
            return [make_up(schema["items"], components)]
        case "integer" | "number":
            return ANY_NUMBER
        case "boolean":
            return True
    return schema.get("enum", [ANY_TEXT])[0]


def resolve(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        return components[schema["$ref"].rpartition("/")[2]]
    return schema
