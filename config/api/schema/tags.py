"""The tags of the document. Each groups the operations below one path, and is described by that path's own."""

from typing import Any

from django.conf import settings


def add_tags(document: dict[str, Any]) -> None:
    """List the tags that operations have, with a sentence each."""
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = sorted({tag for operation in operations for tag in operation["tags"]})
    document["tags"] = [{"name": name, "description": describe_tag(name, document["paths"])} for name in names]


def describe_tag(name: str, paths: dict[str, Any]) -> str:
    path = f"{settings.SPECTACULAR_SETTINGS['SCHEMA_PATH_PREFIX']}/{name}/"
    for operation in paths.get(path, {}).values():
        return str(operation["description"]).partition("\n")[0]
    return f"What is below `{path}`." if any(each.startswith(path) for each in paths) else "Where everything is."
