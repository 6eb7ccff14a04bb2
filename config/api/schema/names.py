"""A path and an action in, the operation's id out, such as `list_products` or `get_category_tree`.

Generated clients name their functions by the ids, so an id must not change. Where no rule gives a readable one, the
view has its own: `extend_schema(operation_id="log_in")`.
"""

import re

VERBS = {
    "list": "list",
    "retrieve": "get",
    "create": "create",
    "update": "replace",
    "partial_update": "update",
    "destroy": "delete",
}
# The summaries of the standard actions.
WORDS = {
    "list": "List {many}",
    "retrieve": "Read {one}",
    "create": "Create {one}",
    "update": "Replace {one}",
    "partial_update": "Change {one}",
    "destroy": "Delete {one}",
}
# The ends of plurals, and those of their singulars.
ENDS = (("sses", "ss"), ("ies", "y"), ("s", ""))


def name_operation(path: str, action: str) -> str:
    """The id for a path below `/api/v1`, such as `/products/{id}/variants/`, and one of the actions of VERBS."""
    parts = path.strip("/").split("/") if path.strip("/") else ["root"]
    words = [name_part(part) for part in parts if not part.startswith("{")]
    # A word is one of several unless it names what is listed, or a part of a row, such as its facets.
    is_one = parts[-1].startswith("{") or action == "create"
    words = [*map(find_singular, words[:-1]), find_singular(words[-1]) if is_one else words[-1]]
    if words[0] == "me" and words[1:]:
        words[0] = "my"
    # `exports/products.csv` is what its name says.
    verb = [] if "." in parts[-1] else [VERBS[action]]
    return "_".join(verb + words)


def name_part(part: str) -> str:
    return re.sub(r"\W", "_", part)


def find_singular(word: str) -> str:
    for plural, singular in ENDS:
        if word.endswith(plural) and not word.endswith(("ss", "us")):
            return word.removesuffix(plural) + singular
    return word
