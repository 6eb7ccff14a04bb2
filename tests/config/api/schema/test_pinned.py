"""What generated clients are built on: names, types and samples. A change of it is seen as lines that came and went."""

import difflib
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.api.schema.documents import build_document, publish
from config.api.schema.names import name_operation

PINNED = Path(__file__).with_name("pinned.txt")

type Schema = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Schema:
    return publish(build_document())


def list_operations(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def describe(schema: Schema) -> str:
    """A schema in a line: `array of Product`, `string|null /^[0-9]+$/`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if forms := schema.get("oneOf", schema.get("allOf", schema.get("anyOf"))):
        return " or ".join(describe(form) for form in forms)
    kinds = schema.get("type", "any")
    kind = "|".join(kinds) if isinstance(kinds, list) else str(kinds)
    if kind == "array":
        return f"array of {describe(schema['items'])}"
    told = [
        f"{name}={schema[name]}" for name in ("format", "pattern", "minimum", "maximum", "default") if name in schema
    ]
    if "enum" in schema:
        told.append("one of " + ",".join(map(str, schema["enum"])))
    return " ".join([kind, *told])


def list_lines(document: Schema) -> Iterator[str]:
    for method, path, operation in list_operations(document):
        place = operation["operationId"]
        yield f"{place}: {method.upper()} {path}"
        for each in operation.get("parameters", []):
            needed = " required" if each.get("required") else ""
            yield f"{place}({each['in']} {each['name']}){needed}: {describe(each['schema'])}"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{place} takes {kind}: {describe(content['schema'])}"
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                yield f"{place} {status} {kind}: {describe(content['schema'])}"
        refused = [status for status in operation["responses"] if status > "299"]
        yield f"{place} else {' '.join(refused)}"
    yield from list_components(document)


def list_components(document: Schema) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        if "properties" not in schema:
            yield f"{name}: {describe(schema)}"
        for member, below in schema.get("properties", {}).items():
            needed = " required" if member in schema.get("required", ()) else ""
            yield f"{name}.{member}{needed}: {describe(below)}"


def test_the_document_is_the_pinned_one(document: Schema) -> None:
    """With `WRITE_EXAMPLES=1` the file is written anew. A line that goes, or changes, may break clients."""
    lines = list(list_lines(document))
    if os.environ.get("WRITE_EXAMPLES"):
        PINNED.write_text("\n".join(lines) + "\n")
    changed = list(difflib.unified_diff(PINNED.read_text().splitlines(), lines, "pinned", "now", lineterm="", n=0))
    assert not changed, "\n".join(["The document has changed; WRITE_EXAMPLES=1 pins it.", *changed])


def test_names_are_readable_and_each_is_given_once(document: Schema) -> None:
    names = Counter(operation["operationId"] for _, _, operation in list_operations(document))
    assert [name for name, count in names.items() if count > 1] == []
    assert {"list_products", "get_product", "create_product", "update_product", "delete_product"} <= set(names)
    assert all(name.replace("_", "").isalnum() and name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("path", "action", "name"),
    [
        ("/products/", "list", "list_products"),
        ("/products/{id}/", "update", "replace_product"),
        ("/categories/{slug}/tree/", "retrieve", "get_category_tree"),
        ("/me/addresses/", "create", "create_my_address"),
        ("/me/", "retrieve", "get_me"),
        ("/exports/products.csv", "retrieve", "export_products_csv"),
        ("/products/by-slug/{slug}/", "retrieve", "get_product_by_slug"),
        ("/", "retrieve", "get_root"),
    ],
)
def test_a_name_follows_from_path_and_action(path: str, action: str, name: str) -> None:
    assert name_operation(path, action) == name


def test_each_type_can_be_made_in_every_language(document: Schema) -> None:
    schemas = document["components"]["schemas"]
    # Go has one space of names for all values.
    values = Counter(name for schema in schemas.values() for name in schema.get("x-enum-varnames", []))
    assert values
    assert [name for name, count in values.items() if count > 1] == []
    # A page is one flat object, an id has 64 bits, and money is a text.
    page = schemas["ProductPage"]
    assert page["type"] == "object"
    assert page["required"] == ["results", "next", "previous", "next_cursor"]
    assert schemas["Product"]["properties"]["id"]["format"] == "int64"
    assert describe(schemas["Product"]["properties"]["price"]).startswith("string pattern=")
    for method, path, operation in list_operations(document):
        assert not path.endswith("/"), path
        assert {"curl", "Python", "fetch"} == {sample["label"] for sample in operation["x-codeSamples"]}, (method, path)


def test_each_sample_can_be_read_by_its_language(document: Schema) -> None:
    shell = []
    for _, path, operation in list_operations(document):
        for sample in operation["x-codeSamples"]:
            if sample["lang"] == "Python":
                compile(sample["source"], path, "exec")
            if sample["lang"] == "Shell":
                shell.append(sample["source"])
    done = subprocess.run(["bash", "-n"], input="\n".join(shell), text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_it_names_the_tags_and_components_that_are_used(document: Schema) -> None:
    tags = {tag for _, _, operation in list_operations(document) for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"]} == tags
    assert all(tag["description"] for tag in document["tags"])
    text = str(document)
    unused = [
        name
        for kind in ("schemas", "responses", "headers")
        for name in document["components"][kind]
        if f"#/components/{kind}/{name}'" not in text
    ]
    assert unused == []
