"""The sentences of faults, for all front ends: the input, the rule and the remedy.

Codes: `taken`, `reserved` and `changed` conflict with stored data and give 409. `repeated` (the input has it twice),
`not_found`, `required`, `derived`, `does_not_exist` and `unexpected` give 400.
"""

from collections.abc import Iterable

# The name of a member in a sentence.
NOUNS = {"sku": "SKU", "slug": "slug", "url": "URL", "title": "title", "price": "price"}


def say_taken(value: str, kind: str, noun: str) -> str:
    return f"{value!r} belongs to another {kind}; give this one another {noun}."


def say_moved(sku: str, slug: str) -> str:
    """For a product that is found by slug: the slug is new, but its SKU belongs to another product."""
    return f"{sku!r} belongs to the product {slug!r}; give this one that slug, or another SKU."


def say_repeated(value: object, where: str, noun: str = "") -> str:
    """`where` is the place of the first, such as `at /items/0/sku` or `on line 2`."""
    remedy = f", or give one another {noun}" if noun else ""
    return f"{value!r} is already {where}; keep one of the two{remedy}."


def say_missing(kind: str, key: str | None, needed: str) -> str:
    """For a missing value that only a new row needs."""
    if key:
        return f"There is no {kind} {key!r} yet, and a new one needs a {needed}; give one."
    return f"A new {kind} needs a {needed}."


def say_unknown(kind: str, name: str, value: object) -> str:
    return f"There is no {kind} with the {name} {value!r}."


def say_alone(sku: str, owner: str) -> str:
    """For a variant that isn't there, and whose product, of the SKU `owner`, isn't there either."""
    if owner:
        return f"There is no product with the SKU {owner!r} for the variant {sku!r}; import the products first."
    return f"There is no variant with the SKU {sku!r}, and the file doesn't say of which product; import it first."


def say_reserved(on_hand: int, reserved: int) -> str:
    return f"{on_hand} is below the {reserved} reserved pieces; give that many or more."


def say_short(adjust: int, on_hand: int, reserved: int) -> str:
    """For an adjustment that would take pieces that are reserved, or that aren't there."""
    return f"{adjust} leaves {on_hand + adjust} of {on_hand}, below the {reserved} reserved pieces; take fewer."


def say_changed(name: str, expected: int, present: int) -> str:
    return f"Its {name} is {present} now, not {expected}."


def say_undeletable() -> str:
    return "Deletes a product, which needs the permission catalog.delete_product; ask for it, or remove the row."


def say_derived(sku: str, variants: Iterable[str]) -> str:
    return f"{sku!r} has variants of its own ({', '.join(variants)}); list them in variants, each by its SKU."
