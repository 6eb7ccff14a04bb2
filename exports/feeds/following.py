"""What changed in a feed since a cursor: the rows as they are now, and the ids of those that it no longer has."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Self

import orjson
from django.db.models import Model, Q, QuerySet

from catalog.changes.events import find_owners
from catalog.changes.feed import Bounds, read_cursor
from catalog.changes.models import Change
from catalog.changes.subjects import SUBJECTS, Subject
from catalog.models import Product, Stock, Variant
from catalog.trees import find_below
from config.api.database.statements import choose_compiled
from config.api.problems.errors import InvalidParameter
from config.api.reads.resources import RESOURCES
from config.api.reads.selections import find_model
from exports.models import Feed
from exports.rows.chunks import Query, select_json

# The most changes that one answer tells, and the most rows that it tells for the sake of others.
MOST_CHANGES = 1_000
# Rows show parts of these entities, or are hidden with them. Each entity has the look-up that leads to it from a row.
FOLLOWED: Mapping[type[Model], Mapping[str, str]] = {
    Product: {"brand": "brand", "category": "category"},
    Variant: {"product": "product"},
    Stock: {"product": "variant__product", "variant": "variant"},
}
CURSOR = r"[0-9]{1,12}(\.[1-9][0-9]{0,11}\.[0-9]{1,18})?"


@dataclass(frozen=True)
class Place:
    """How far a reader has come: all changes up to the position `after` are told.

    Within the changes up to `upto`, the rows that follow others are told up to the id `row`: a brand may have a million
    products.
    """

    after: int
    upto: int = 0
    row: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        if not re.fullmatch(CURSOR, text):
            raise InvalidParameter("after", f"{text[:40]!r} is no cursor.", "Use `next_cursor` of the last answer.")
        return cls(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.after}.{self.upto}.{self.row}" if self.upto else str(self.after)


@dataclass(frozen=True)
class Delta:
    """A piece of the way from a cursor to now. `rows` are JSON texts."""

    rows: Sequence[Any]
    gone: Sequence[int]
    cursor: Place
    has_more: bool


def find_rows_model(resource: str) -> type[Model]:
    return find_model(RESOURCES[resource].shape)


def find_subject(resource: str) -> Subject | None:
    """The subject of a resource's rows; None for products, whose changes bear the product's id, and for the log."""
    model = find_rows_model(resource)
    return next((each for each in SUBJECTS.values() if each.model is model and model is not Product), None)


def select_changes(resource: str, after: int) -> QuerySet[Change]:
    """The changes after the cursor of whatever a row of the resource shows."""
    rows: QuerySet[Change] = Change.objects.using("default").filter(position__gt=after)
    model, subject = find_rows_model(resource), find_subject(resource)
    if model is not Change:
        # Products in Google's form show whether their pieces are at sellable locations.
        followed = (*FOLLOWED.get(model, ()), *(["location"] if model is Product else []))
        own = Q(entity__in=subject.entities) if subject else Q(product_id__isnull=False)
        rows = rows.filter(own | Q(entity__in=followed, op=Change.Op.UPDATE) | Q(op=Change.Op.TRUNCATE))
    return rows.defer("before").order_by("position")


def read_delta(feed: Feed, query: Query, place: Place) -> Delta:
    """Raises ChangesGone if the log doesn't reach back to the cursor. At most eight queries."""
    newest = read_cursor()
    Bounds.read().check(place.after)
    end = min(place.upto or newest, newest)
    found = select_changes(feed.resource, place.after).filter(position__lte=end)
    changes = list(found[: MOST_CHANGES + 1])
    if len(changes) > MOST_CHANGES:
        end = changes[MOST_CHANGES - 1].position
    changes = changes[:MOST_CHANGES]
    followers = find_followers(find_rows_model(feed.resource), changes, place.row)
    keys = sorted({*followers, *(() if place.upto else find_keys(feed.resource, changes))})
    rows = {key: text for text, key in read_rows(query, keys)}
    is_cut = len(followers) == MOST_CHANGES
    cursor = Place(place.after, end, followers[-1]) if is_cut else Place(end)
    return Delta(list(rows.values()), sorted(set(keys) - set(rows)), cursor, is_cut or end < newest)


def find_keys(resource: str, changes: Sequence[Change]) -> Set[int]:
    """The ids of the rows that changed."""
    if find_rows_model(resource) is Change:
        return {change.pk for change in changes}
    subject = find_subject(resource)
    owners: Mapping[int, int | None] = (
        find_owners(subject, changes) if subject else {change.position: change.product_id for change in changes}
    )
    return {key for key in owners.values() if key is not None}


def find_followers(model: type[Model], changes: Sequence[Change], after: int) -> Sequence[int]:
    """The ids, in order and greater than `after`, of rows that follow a row that was updated; MOST_CHANGES at most."""
    updated = [(change.entity, change.entity_id) for change in changes if change.op == Change.Op.UPDATE]
    links = {
        link: {key for entity, key in updated if entity == followed}
        for followed, link in FOLLOWED.get(model, {}).items()
    }
    if links.get("category"):
        links["category"] = find_below(links["category"])
    asked = [Q(**{f"{link}__in": keys}) for link, keys in links.items() if keys]
    if not asked:
        return ()
    rows = model._default_manager.using("default").filter(reduce(or_, asked), pk__gt=after)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:MOST_CHANGES])


def read_rows(query: Query, keys: Sequence[int]) -> list[tuple[Any, int]]:
    rows = choose_compiled(select_json(query, query.rows.using("default").filter(pk__in=keys).order_by("pk")))
    return [(orjson.Fragment(query.finish(f"{text}\n".encode()).rstrip(b"\n")), key) for text, key in rows]
