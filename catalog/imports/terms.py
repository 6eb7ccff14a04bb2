"""Brands, categories, attributes and locations that a file has as rows of their own in, the missing ones created out.

Products refer to them, so a batch writes them first. Stored ones stay as they are: a row that says something else of
one is an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.imports.errors import Line, Refusal
from catalog.imports.report import Outcome
from catalog.locations import declare_locations
from catalog.models import Attribute, Brand, Category, Location
from catalog.querysets import MAIN
from catalog.writes.among import is_among
from catalog.writes.drafts import Values
from catalog.writes.sentences import say_taken, say_unknown


@dataclass(slots=True)
class TermDraft:
    """A row that is a brand, a category, an attribute or a location. `key` is its slug, name or code.

    `fields` are its other columns; a category's `parent` is a slug or None.
    """

    place: Line
    kind: str
    key: str
    fields: Values

    def refuse(self, column: str, sentence: str) -> Refusal:
        rule, _, remedy = sentence.removesuffix(".").partition("; ")
        return Refusal(self.place.number, self.key, column, "", rule, remedy)


def write_terms(drafts: Sequence[TermDraft]) -> Outcome:
    """Create what is missing, each kind by one statement; categories by one for each level."""
    brands, categories, attributes, locations = (
        [draft for draft in drafts if draft.kind == kind] for kind in ("brand", "category", "attribute", "location")
    )
    outcome = Outcome()
    outcome.brands_created = add_rows(Brand, "slug", brands, outcome)
    add_rows(Attribute, "name", attributes, outcome)
    outcome.locations_created = add_locations(locations, outcome)
    tree = CategoryRows(categories)
    outcome.categories_created = tree.add(outcome)
    outcome.refused = len(outcome.errors)
    return outcome


def add_locations(drafts: Sequence[TermDraft], outcome: Outcome) -> int:
    """Create the missing ones. `main`, which is always there, is set as in the file unless somebody changed it."""
    # A file of an older release has codes alone.
    bare = [draft.key for draft in drafts if draft.fields["sellable"] is None]
    full = [draft for draft in drafts if draft.fields["sellable"] is not None]
    for draft in full:
        if draft.key == MAIN:
            Location.objects.filter(code=MAIN, version=1).update(**draft.fields)
    return declare_locations(bare) + add_rows(Location, "code", full, outcome)


def add_rows(model: Any, key: str, drafts: Sequence[TermDraft], outcome: Outcome) -> int:
    """Create the missing rows, sorted to prevent deadlocks. Returns their number."""
    stored = {row[key]: row for row in model.objects.filter(is_among(key, {draft.key for draft in drafts})).values()}
    new = [draft for draft in drafts if draft.key not in stored]
    outcome.errors += list_differences([draft for draft in drafts if draft.key in stored], stored)
    model.objects.bulk_create(model(**{key: draft.key}, **draft.fields) for draft in sort_by_key(new))
    return len(new)


def sort_by_key(drafts: Sequence[TermDraft]) -> list[TermDraft]:
    return sorted(drafts, key=lambda draft: draft.key)


def list_differences(drafts: Sequence[TermDraft], stored: dict[str, Any]) -> Iterator[Refusal]:
    for draft in drafts:
        for column, value in draft.fields.items():
            if (known := stored[draft.key][column]) != value:
                detail = f"The {draft.kind} {draft.key!r} has {known!r} here; change it here, or in the file."
                yield draft.refuse(column, detail)


class CategoryRows:
    """The categories that a batch names, as themselves or as parents, by slug."""

    def __init__(self, drafts: Sequence[TermDraft]) -> None:
        self.drafts = drafts
        parents = {draft.fields["parent"] for draft in drafts} - {None}
        rows = Category.objects.filter(is_among("slug", {draft.key for draft in drafts} | parents))
        self.stored: dict[str, Any] = {
            slug: {"id": key, "name": name, "parent": parent}
            for key, slug, name, parent in rows.values_list("pk", "slug", "name", "parent__slug")
        }

    def add(self, outcome: Outcome) -> int:
        """Create the missing ones, parents first. Returns their number."""
        outcome.errors += list_differences([one for one in self.drafts if one.key in self.stored], self.stored)
        number, left = 0, [draft for draft in self.drafts if draft.key not in self.stored]
        while ready := [draft for draft in left if self.has_parent(draft)]:
            left = [draft for draft in left if not self.has_parent(draft)]
            number += self.add_level(ready, outcome)
        for draft in left:
            outcome.errors.append(draft.refuse("parent", say_unknown("category", "slug", draft.fields["parent"])))
        return number

    def has_parent(self, draft: TermDraft) -> bool:
        return draft.fields["parent"] is None or draft.fields["parent"] in self.stored

    def add_level(self, drafts: Sequence[TermDraft], outcome: Outcome) -> int:
        free = list(self.refuse_taken(drafts, outcome))
        rows = Category.objects.bulk_create(
            Category(slug=draft.key, name=draft.fields["name"], parent_id=self.find_parent(draft))
            for draft in sort_by_key(free)
        )
        for row, draft in zip(rows, sort_by_key(free), strict=True):
            self.stored[row.slug] = {"id": row.pk, **draft.fields}
        return len(rows)

    def find_parent(self, draft: TermDraft) -> int | None:
        parent = draft.fields["parent"]
        return None if parent is None else self.stored[parent]["id"]

    def refuse_taken(self, drafts: Sequence[TermDraft], outcome: Outcome) -> Iterator[TermDraft]:
        """Those drafts whose name no other category below the same parent has."""
        named = Category.objects.filter(is_among("name", {draft.fields["name"] for draft in drafts}))
        taken: set[tuple[int | None, str]] = set(named.values_list("parent_id", "name"))
        for draft in drafts:
            place = (self.find_parent(draft), draft.fields["name"])
            if place in taken:
                detail = say_taken(draft.fields["name"], "category below this parent", "name")
                outcome.errors.append(draft.refuse("name", detail))
            else:
                taken.add(place)
                yield draft
