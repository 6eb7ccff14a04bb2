"""What changed in a feed since a cursor: the rows as they are now, and the ids of those that it no longer has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from catalog.changes.events import find_owners
from catalog.changes.feed import Bounds, read_cursor
from catalog.changes.models import Change
from catalog.changes.subjects import SUBJECTS, Subject
from catalog.models import Product
from config.api.database.statements import choose_compiled
from config.api.reads.resources import RESOURCES
from config.api.reads.selections import find_model
from exports.models import Feed
from exports.rows.chunks import Query, select_json

# The most changes that one answer tells.
MOST_CHANGES = 1_000


@dataclass(frozen=True)
class Delta:
    """A piece of the way from a cursor to now. `rows` are JSON texts."""

    rows: Sequence[Any]
    gone: Sequence[int]
    cursor: int
    has_more: bool


def find_subject(resource: str) -> Subject | None:
    """The subject of a resource's rows; None for products, whose changes bear the product's id, and for the log."""
    model = find_model(RESOURCES[resource].shape)
    return next((each for each in SUBJECTS.values() if each.model is model and model is not Product), None)


def select_changes(resource: str, after: int) -> QuerySet[Change]:
    """The changes after the cursor of whatever a row of the resource shows."""
    subject = find_subject(resource)
    # A product may show its brand's and its category's name.
    of_product = Q(product_id__isnull=False) | Q(entity__in=("brand", "category"), op=Change.Op.UPDATE)
    of_rows = Q(entity__in=subject.entities) if subject else of_product
    rows: QuerySet[Change] = Change.objects.using("default").filter(of_rows | Q(op=Change.Op.TRUNCATE))
    return rows.filter(position__gt=after).defer("before").order_by("position")


def read_delta(feed: Feed, query: Query, after: int) -> Delta:
    """Raises ChangesGone if the log doesn't reach back to the cursor. Five queries, or six."""
    newest = read_cursor()
    Bounds.read().check(after)
    changes = list(select_changes(feed.resource, after).filter(position__lte=newest)[: MOST_CHANGES + 1])
    has_more = len(changes) > MOST_CHANGES
    changes = changes[:MOST_CHANGES]
    keys = find_keys(feed.resource, changes)
    rows = {key: text for text, key in read_rows(query, keys)}
    cursor = changes[-1].position if has_more else newest
    return Delta(list(rows.values()), sorted(set(keys) - set(rows)), cursor, has_more)


def find_keys(resource: str, changes: Sequence[Change]) -> list[int]:
    """The ids of the rows that changed, in order."""
    subject = find_subject(resource)
    owners: Mapping[int, int | None] = (
        find_owners(subject, changes) if subject else {change.position: change.product_id for change in changes}
    )
    return sorted({key for key in owners.values() if key is not None})


def read_rows(query: Query, keys: Sequence[int]) -> list[tuple[Any, int]]:
    rows = choose_compiled(select_json(query, query.rows.using("default").filter(pk__in=keys).order_by("pk")))
    return [(orjson.Fragment(query.finish(f"{text}\n".encode()).rstrip(b"\n")), key) for text, key in rows]
