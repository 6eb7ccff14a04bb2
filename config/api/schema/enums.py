"""The enumerations of the document: each is a component, also where a parameter takes its values.

Generators make a type of each that they find, and fail if two have the same name. In Go, two types can't even have a
value of the same name, so each value's name (`x-enum-varnames`) begins with the name of its type.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any


def share_enums(document: dict[str, Any]) -> None:
    """Name the values, and let each parameter refer to the component that has the same values, if there is one.

    A parameter's own values become a component if they have a title.
    """
    add_titled(document)
    enums = {name: schema for name, schema in document["components"]["schemas"].items() if "enum" in schema}
    for name, schema in enums.items():
        schema["x-enum-varnames"] = [name_value(name, value) for value in schema["enum"]]
    named = {frozenset(schema["enum"]): name for name, schema in enums.items()}
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                share_enum(parameter, named)


def name_value(enum: str, value: str) -> str:
    """`JobStatus` and `queued` make `JOB_STATUS_QUEUED`; a sign goes by its name in Unicode."""
    words = value if re.search(r"\w", value) else unicodedata.name(value)
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.removesuffix("Enum"))
    return re.sub(r"\W+", "_", f"{kind}_{words}").upper()


def add_titled(document: dict[str, Any]) -> None:
    """Add a component for the values of each title. Of titles with the same values, the first by name has it."""
    schemas = document["components"]["schemas"]
    titled = {title: values for values in list_values(document) if (title := values.pop("title", ""))}
    first = {frozenset(titled[title]["enum"]): title for title in sorted(titled, reverse=True)}
    for title, values in titled.items():
        if first[frozenset(values["enum"])] == title:
            schemas.setdefault(title, dict(values))


def list_values(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema of each parameter's values."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                yield parameter["schema"].get("items", parameter["schema"])


def share_enum(parameter: dict[str, Any], named: dict[frozenset[Any], str]) -> None:
    schema = parameter["schema"]
    holder, member = (schema, "items") if schema.get("type") == "array" else (parameter, "schema")
    if name := named.get(frozenset(holder[member].get("enum", ()))):
        holder[member] = {"$ref": f"#/components/schemas/{name}"}
