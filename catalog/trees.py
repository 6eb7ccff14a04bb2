"""Categories nested into each other."""

from typing import Any

from catalog.models import Category


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
