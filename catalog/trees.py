"""Categories nested into each other."""

from collections.abc import Collection
from typing import Any

from catalog.models import Category

# The digits of an id in a path.
DIGITS = 10


def build_tree(root: Category) -> dict[str, Any]:
    """`{"id", "slug", "name", "children": […]}` of `root` and all below it, children ordered by name; one query."""
    subtree = Category.objects.filter(path__startswith=root.path).order_by("name")
    rows = list(subtree.values("id", "parent_id", "slug", "name"))
    nodes: dict[int, dict[str, Any]] = {
        row["id"]: {"id": row["id"], "slug": row["slug"], "name": row["name"], "children": []} for row in rows
    }
    for row in rows:
        if row["id"] != root.pk:
            nodes[row["parent_id"]]["children"].append(nodes[row["id"]])
    return nodes[root.pk]


def find_below(keys: Collection[int]) -> set[int]:
    """The ids of these categories and of all below them. One query, which reads all paths: there are thousands."""
    wanted = {f"{key:0{DIGITS}}" for key in keys}
    paths = Category.objects.using("default").values_list("pk", "path")
    return {key for key, path in paths if wanted & {path[at : at + DIGITS] for at in range(0, len(path), DIGITS)}}
